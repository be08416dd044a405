"""What an authority does: holds keys, publishes, attests, withdraws.

Read in the order ``errors``, ``keys``, ``settings``, ``journal``, ``repository``, ``subjects``,
``trust_domains``, ``open_home``, ``home``: each module uses only those before it.
"""
