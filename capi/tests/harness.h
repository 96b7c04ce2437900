/* What the C tests share: files, memory as media. C99, hosted. */
#ifndef HARNESS_H
#define HARNESS_H

#include "fwdelta.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long long check_count;

/* Ends the program with the place of the first expectation that is not met. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        check_count++;                                                                             \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);               \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

struct bytes {
    uint8_t *data;
    size_t len;
};

static struct bytes allocate(size_t len)
{
    struct bytes bytes = { malloc(len == 0 ? 1 : len), len };
    CHECK(bytes.data != NULL);
    return bytes;
}

/* The file `name` of folder `dir`; a whole path under no folder. */
static struct bytes load(const char *dir, const char *name)
{
    const char *between = dir[0] == '\0' ? "" : "/";
    char path[1024];
    FILE *file;
    long len;
    struct bytes bytes;
    CHECK((size_t)snprintf(path, sizeof path, "%s%s%s", dir, between, name) < sizeof path);
    file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    CHECK(fseek(file, 0, SEEK_END) == 0);
    len = ftell(file);
    CHECK(len >= 0 && fseek(file, 0, SEEK_SET) == 0);
    bytes = allocate((size_t)len);
    CHECK(fread(bytes.data, 1, bytes.len, file) == bytes.len);
    CHECK(fclose(file) == 0);
    return bytes;
}

static inline int32_t read_bytes(void *ctx, uint64_t pos, uint8_t *buf, size_t len)
{
    const struct bytes *bytes = ctx;
    if (pos > bytes->len || len > bytes->len - pos) {
        return 2;
    }
    memcpy(buf, bytes->data + pos, len);
    return 0;
}

static inline fwdelta_source source_of(struct bytes *bytes)
{
    fwdelta_source source = { FWDELTA_ABI_VERSION, bytes, read_bytes };
    return source;
}

/* Whether a function returned, and said in `error`, that it failed with `detail`. */
static inline int says(const fwdelta_error *error, fwdelta_status status, uint16_t detail)
{
    int is_so = status == detail / 100u && error->category == status && error->detail == detail;
    if (!is_so) {
        fprintf(stderr, "status %u, detail %u %s, expected %u %s\n", (unsigned)status,
                (unsigned)error->detail, fwdelta_error_name(error->detail), (unsigned)detail,
                fwdelta_error_name(detail));
    }
    return is_so;
}

/* Moments of an update that are tried at most, 0 for all: `usual` ones, all of them when tests are
 * to be exhaustive, few where each takes long. */
static inline long moment_count(long usual)
{
    if (getenv("FWDELTA_VALGRIND") != NULL) {
        return 3;
    }
    return getenv("FWDELTA_EXHAUSTIVE") != NULL ? 0 : usual;
}

static int passed(const char *program)
{
    printf("%s: %llu checks passed\n", program, check_count);
    return 0;
}

#endif
