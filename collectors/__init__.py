"""How facts come in: readers at the edge do I/O, interpreters give meaning and do none.

Nothing here stores anything; what a reader brings and an interpreter makes of it is handed over.
"""
