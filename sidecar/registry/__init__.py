"""Registers stored objects with their models: signed, expiring, and checked again on use.

An id such as ``resp_…`` does not name the models behind it. A registration does: it is written
when an admitted call creates the object, and read when a later call refers to it. ``record``
defines the document, ``keys`` the key that signs it, ``store`` the folder of registrations.
"""
