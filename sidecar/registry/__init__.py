"""What was created through the gate, remembered with its models: signed, expiring, re-checked.

An id such as ``resp_…`` says nothing about the models behind it. A registration does: it is written
when an admitted call creates the object, and read when a later call builds on it. ``record`` is the
document, ``keys`` the key that signs it, ``store`` the folder it lies in.
"""
