"""Mixed-integer programs and the formulations that make them from programs."""

from lipc.mip.program import Block, MixedIntegerProgram, Namer, Role

__all__ = ["Block", "MixedIntegerProgram", "Namer", "Role"]
