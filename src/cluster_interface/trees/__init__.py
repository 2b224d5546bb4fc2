"""Walk, open, list and match a file tree in a directory: on the server and on the user's own machine alike.

`describe`, `create` and `check` of a tree (`clif files …`) will stand here beside `listing`.
"""
