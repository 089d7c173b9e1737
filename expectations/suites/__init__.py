"""What the business expects of each table, one module a table, on top of the declarations.

Numbers are measured on the shipped sample (47,328 payments of 144 customers, 123 days); each rule
says how.
"""
