c Problem:    
c Rows:       1
c Columns:    0
c Non-zeros:  0
c Status:     UNDEFINED
