"""Plugin of pytest: keeps the tests of one transport, S3TESTS_TRANSPORT = http or tls. Customer's keys (SSE-C) need TLS."""

import os
import re

NEEDS_TLS = re.compile(r"sse[_-]c(?![a-z])|enc_conflict_c_|encrypted_transfer")


def pytest_collection_modifyitems(config, items):
    wants_tls = os.environ["S3TESTS_TRANSPORT"] == "tls"
    others = [item for item in items if (NEEDS_TLS.search(item.name) is not None) != wants_tls]
    items[:] = [item for item in items if item not in others]
    config.hook.pytest_deselected(items=others)
