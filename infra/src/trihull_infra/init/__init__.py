"""`trihull init`: a project of one's own that works with the installed packages, without trihull's repository.

`project/` is what is written; `clouds/<cloud>.yaml` becomes its `dev.yaml`. What lies in `project/` and also in the
repository's `stacks/` is a copy of that, made by `python -m trihull_infra.init.copies` and compared by a test: a wheel
can hold no file from outside its own folder that an editable install and a source distribution would find as well.
"""
