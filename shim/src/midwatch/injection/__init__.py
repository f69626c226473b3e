"""The way into a program that knows nothing of Midwatch: a folder that a pod has and a path to it.

This package is loaded under another name and from outside `sys.path`, before anything is known of
the program and of its Python: it needs the standard library alone, and no Python newer than 3.7.
"""
