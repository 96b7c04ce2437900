/* Runs capi/examples/linux.c: each system call that changes a file is the last one once. Linked
 * with the library that has the built-in Ed25519.
 *
 * linux TESTDATA FOLDER, where FOLDER is empty and may be written */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64

#include "fwdelta.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLED 99

/* Calls until the process is killed; negative for never. */
static long calls_left = -1;

static void count_call(void)
{
    if (calls_left == 0) {
        _exit(KILLED);
    }
    calls_left -= calls_left > 0;
}

/* Half of the bytes are written by the last one. */
static ssize_t counted_pwrite(int fd, const void *data, size_t len, off_t pos)
{
    if (calls_left == 0 && pwrite(fd, data, len / 2, pos) < 0) {
        _exit(1);
    }
    count_call();
    return pwrite(fd, data, len, pos);
}

/* A process that is killed takes nothing along that it wrote: the disk can be left alone. */
static int counted_sync(int fd)
{
    count_call();
    return fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

static int counted_ftruncate(int fd, off_t len)
{
    count_call();
    return ftruncate(fd, len);
}

static int counted_rename(const char *from, const char *to)
{
    count_call();
    return rename(from, to);
}

static int counted_unlink(const char *path)
{
    count_call();
    return unlink(path);
}

#define pwrite counted_pwrite
#define fdatasync counted_sync
#define fsync counted_sync
#define ftruncate counted_ftruncate
#define rename counted_rename
#define unlink counted_unlink
#define source_of example_source_of
#define allocate example_allocate
#define main example_main
#include "../examples/linux.c"
#undef main
#undef allocate
#undef source_of
#undef unlink

#include "harness.h"

struct story {
    char mode[16];
    char package[512];
    char trust[512];
    char from[512];
    char to[512];
};

/* Runs the example with `calls` calls to live; gives its exit code. */
static int run(struct story *story, long calls)
{
    char *arguments[] = { (char *)(uintptr_t)"linux", story->mode, story->package, story->trust,
                          story->from, story->to, NULL };
    int status = 0;
    pid_t child;
    fflush(stdout);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int code;
        /* What it says of its refusals is expected. */
        CHECK(freopen("/dev/null", "w", stdout) != NULL);
        CHECK(freopen("/dev/null", "w", stderr) != NULL);
        calls_left = calls;
        code = example_main(6, arguments);
        _exit(code);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void store(const char *path, const struct bytes *bytes)
{
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    CHECK(fwrite(bytes->data, 1, bytes->len, file) == bytes->len);
    CHECK(fclose(file) == 0);
}

static int is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static int holds(const char *path, const struct bytes *bytes)
{
    struct bytes found = load("", path);
    int is_same = found.len == bytes->len && memcmp(found.data, bytes->data, bytes->len) == 0;
    free(found.data);
    return is_same;
}

static struct story story_of(const char *testdata, const char *folder, const char *mode)
{
    struct story story;
    int is_slot = strcmp(mode, "slot") == 0;
    memset(&story, 0, sizeof story);
    snprintf(story.mode, sizeof story.mode, "%s", mode);
    snprintf(story.package, sizeof story.package, "%s/capi/%s", testdata,
             is_slot ? "package.suit" : "in-place.suit");
    snprintf(story.trust, sizeof story.trust, "%s/capi/trust.cbor", testdata);
    if (is_slot) {
        snprintf(story.from, sizeof story.from, "%s/firmware/moondancer/old.bin", testdata);
        snprintf(story.to, sizeof story.to, "%s/new", folder);
    } else {
        snprintf(story.from, sizeof story.from, "%s/image", folder);
        snprintf(story.to, sizeof story.to, "%s/journal", folder);
    }
    return story;
}

/* The new image appears whole or not at all. */
static void two_slots(const char *testdata, const char *folder)
{
    struct story story = story_of(testdata, folder, "slot");
    struct bytes new_bytes = load(testdata, "firmware/moondancer/new.bin");
    long step = moment_count(1) > 1 ? 40 : 1;
    long calls;
    int code = KILLED;
    unlink(story.to);
    for (calls = 0; code == KILLED; calls += step) {
        code = run(&story, calls);
        CHECK(code == 0 || code == KILLED);
        CHECK(code == 0 || !is_there(story.to) || holds(story.to, &new_bytes));
    }
    CHECK(holds(story.to, &new_bytes) && calls > 20);
    /* Another old image: refused, and what is there stays. */
    snprintf(story.from, sizeof story.from, "%s/firmware/apollo/old.bin", testdata);
    CHECK(run(&story, -1) == 10 + FWDELTA_WRONG_OLD && holds(story.to, &new_bytes));
    free(new_bytes.data);
    printf("two slots: %ld calls\n", calls);
}

/* Killed in any call, it goes on and ends with the new image. */
static void one_slot(const char *testdata, const char *folder)
{
    struct story story = story_of(testdata, folder, "in-place");
    struct bytes old_bytes = load(testdata, "firmware/apollo/old.bin");
    struct bytes new_bytes = load(testdata, "firmware/apollo/new.bin");
    char request[600];
    long moments = moment_count(60);
    long last = moments > 0 ? moments : LONG_MAX;
    long step = moments > 10 ? 17 : 500;
    long calls;
    int code = KILLED;
    snprintf(request, sizeof request, "%s.request", story.to);
    /* Every call of the start and the end, some between them. */
    for (calls = 0; code == KILLED; calls += calls < last ? 1 : step) {
        store(story.from, &old_bytes);
        code = run(&story, calls);
        CHECK(code == 0 || code == KILLED);
        if (code == KILLED) {
            int again = run(&story, -1);
            CHECK(again == 0 || (again == 10 + FWDELTA_WRONG_OLD && !is_there(request)));
        }
        CHECK(holds(story.from, &new_bytes));
        CHECK(!is_there(request));
    }
    CHECK(calls > 500);
    /* A damaged package is refused, with the old image as it was. */
    store(story.from, &old_bytes);
    snprintf(story.package, sizeof story.package, "%s/vectors/signature-wrong.suit", testdata);
    CHECK(run(&story, -1) > 10 && holds(story.from, &old_bytes) && !is_there(request));
    free(old_bytes.data);
    free(new_bytes.data);
    printf("in place: %ld calls\n", calls);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 3);
    two_slots(argv[1], argv[2]);
    one_slot(argv[1], argv[2]);
    return passed("linux");
}
