// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Runs the inputs of a fuzzer of the data plane once and prints how many and a digest of all that was sent and
// delivered, so that machines of another word size and byte order can be compared. Built with
// -DTARGET='"../fuzz/fuzz_plane_rx.c"'.

#include "line.h"

#include TARGET

int main(int argc, char **argv) {
    static uint8_t data[65536];
    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        CHECK(f != NULL);
        const size_t n = fread(data, 1, sizeof data, f);
        fclose(f);
        LLVMFuzzerTestOneInput(data, n);
    }
    line_digest((unsigned)argc - 1, digest);
    return 0;
}
