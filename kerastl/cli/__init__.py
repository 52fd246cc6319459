"""The command line: a module for each family of verbs, the options they share said once.

What a verb needs is imported inside it, after its arguments were checked: `kerastl --help` loads
neither Keras nor TensorFlow. `main` puts the verbs together; `console` is how they speak; `runs` is
the folder that a run leaves.

May use: everything. Nothing may use it.
"""
