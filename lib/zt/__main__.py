# microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
#
# python3 -m zt: the same program as ./zt, where no network stack is needed.

from .cli import run

if __name__ == "__main__":
    run()
