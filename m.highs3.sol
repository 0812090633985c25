Problem:    
Rows:       1
Columns:    0
Non-zeros:  0
Status:     UNDEFINED
