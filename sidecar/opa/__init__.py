"""Everything about OPA: the client, the managed process, the bundle and its signature.

``client`` asks a question and accepts an answer of exactly one shape; ``live_engine`` follows the
policies and changes the process without a gap; ``bundle``, ``tree``, ``signing`` and ``revision``
make and check what OPA loads; ``location`` finds the program; ``server`` serves what is loaded to
other machines.
"""
