Columns
    Index Status        Lower        Upper       Primal         Dual  Name
Rows
    Index Status        Lower        Upper       Primal         Dual  Name

Model status: Empty

Objective value: 0
