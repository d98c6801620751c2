"""Well-known and other bundled messages as betterproto2 classes, for contracts generated with that library.

`gen` is generated; import it only where betterproto2 is installed. This module loads nothing.
"""
