"""Verifies the credential of a request, which names exactly one environment.

``credential`` verifies a JWT-SVID, an X.509-SVID, or both; ``trust_bundles`` holds the keys and
roots of each trust domain; ``xfcc`` reads the certificate that a trusted forwarder sends.
"""
