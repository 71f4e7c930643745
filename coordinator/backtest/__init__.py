"""The judge on recorded tasks: what it would have said of them, and at which task.

`records` and `comparison` turn files into rows; `cohort` makes units of them, in start order;
`replay` gives them to the judge as a live fleet would; `report` and `plots` tell what came of it.
Only `reading` touches files.
"""
