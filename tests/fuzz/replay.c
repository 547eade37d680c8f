// microzt - an independent ZeroTier node. SPDX-License-Identifier: MIT
//
// Runs a fuzzer's target once on each input of a list of files, where there is no libFuzzer: any compiler
// with sanitizers will do. `replay FILE ...`, or with - the names on standard input, a line each.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one(const char *name) {
    static uint8_t data[65536];
    FILE *f = fopen(name, "rb");
    if (!f) {
        perror(name);
        exit(1);
    }
    const size_t n = fread(data, 1, sizeof data, f);
    fclose(f);
    fprintf(stderr, "%s\n", name); // the last one, if it ends here
    uint8_t *exact = malloc(n ? n : 1); // so that a step outside it is seen
    memcpy(exact, data, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

int main(int argc, char **argv) {
    int count = argc - 1;
    if (argc == 2 && strcmp(argv[1], "-") == 0) {
        static char name[4096];
        for (count = 0; fgets(name, sizeof name, stdin); count++) {
            name[strcspn(name, "\n")] = 0;
            one(name);
        }
    } else {
        for (int i = 1; i < argc; i++) {
            one(argv[i]);
        }
    }
    printf("%d\n", count);
    return 0;
}
