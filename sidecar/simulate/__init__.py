"""Plays histories of authorities, evidence and a gate in memory: real keys, the real predicate.

``history_file`` reads what a person wrote, ``world`` holds authorities, folder and gate, ``acts``
does one step, ``play`` does all of them and asks the questions after each. Nothing is read from or
written to disk, and no clock is asked: time passes only as the history states.
"""
