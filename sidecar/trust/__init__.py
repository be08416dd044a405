"""The control path: from authorities' repositories and evidence folders to a trust state.

``config`` reads the operator's ``trust.yaml``; ``control`` follows every source it names and hands
each new trust state on. In between, in the order of the flow: ``sources`` moves bytes, ``refresh``
verifies one authority's repository, ``view`` reads back what was verified, ``evidence_folder``
reads evidence, ``follower`` triggers each of them. Nothing here answers a request.
"""
