/* Runs capi/examples/linux.c: each system call that changes a file is the last one once. Linked
 * with the library that has the built-in Ed25519.
 *
 * linux TESTDATA FOLDER, where FOLDER is empty and may be written */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64

/* Some fifteen checkpoints in the image of the test. */
#define CHECKPOINT_LEN 4096

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

/* Where nothing of an earlier run is left. */
static void forget_slot(const struct story *story)
{
    static const char *const ends[] = { "", ".part", ".journal" };
    char path[600];
    size_t at;
    for (at = 0; at < sizeof ends / sizeof *ends; at++) {
        snprintf(path, sizeof path, "%s%s", story->to, ends[at]);
        unlink(path);
    }
}

/* The new image is there, and nothing else of the update. */
static int is_finished(const struct story *story, const struct bytes *new_bytes)
{
    char part[600];
    char journal[600];
    snprintf(part, sizeof part, "%s.part", story->to);
    snprintf(journal, sizeof journal, "%s.journal", story->to);
    return holds(story->to, new_bytes) && !is_there(part) && !is_there(journal);
}

/* Killed in one call, then once more: the new image appears whole or not at all. Gives the code of
 * the first run. */
static int killed_slot(struct story *story, const struct bytes *new_bytes, long calls)
{
    int code;
    forget_slot(story);
    code = run(story, calls);
    CHECK(code == 0 || code == KILLED);
    CHECK(code == 0 || !is_there(story->to) || holds(story->to, new_bytes));
    CHECK(run(story, -1) == 0 && is_finished(story, new_bytes));
    return code;
}

/* Killed in every call of the start and of the end, and some between them. Gives how many calls it
 * takes, rounded up. */
static long killed_slots(struct story *story, const struct bytes *new_bytes)
{
    long moments = moment_count(60);
    long last = moments > 0 ? moments : LONG_MAX;
    long step = moments > 10 ? 17 : 500;
    long calls = 0;
    long at;
    while (killed_slot(story, new_bytes, calls) == KILLED) {
        calls += calls < last ? 1 : step;
    }
    for (at = calls - step - 10; moments > 10 && at < calls; at++) {
        killed_slot(story, new_bytes, at);
    }
    return calls;
}

static void two_slots(const char *testdata, const char *folder)
{
    struct story story = story_of(testdata, folder, "slot");
    struct bytes new_bytes = load(testdata, "firmware/moondancer/new.bin");
    long calls = killed_slots(&story, &new_bytes);
    CHECK(calls > 100);
    /* What was done before a kill is not done again. */
    forget_slot(&story);
    CHECK(run(&story, calls * 3 / 4) == KILLED && run(&story, calls / 2) == 0);
    CHECK(is_finished(&story, &new_bytes));
    /* Another old image: refused, and what is there stays. */
    snprintf(story.from, sizeof story.from, "%s/firmware/apollo/old.bin", testdata);
    CHECK(run(&story, -1) == 10 + FWDELTA_WRONG_OLD && is_finished(&story, &new_bytes));
    free(new_bytes.data);
    printf("two slots: %ld calls\n", calls);
}

/* A part file that is not what its journal says: refused, and begun anew by the next run. */
static void changed_part(const char *testdata, const char *folder)
{
    struct story story = story_of(testdata, folder, "slot");
    struct bytes new_bytes = load(testdata, "firmware/moondancer/new.bin");
    struct bytes part = { NULL, 0 };
    char path[600];
    long calls = 50;
    snprintf(path, sizeof path, "%s.part", story.to);
    forget_slot(&story);
    do {
        CHECK(run(&story, calls) == KILLED);
        free(part.data);
        part = load("", path);
        calls += 50;
    } while (memcmp(part.data, new_bytes.data, 2 * CHECKPOINT_LEN) != 0);
    part.data[5] ^= 1;
    store(path, &part);
    CHECK(run(&story, -1) == 10 + FWDELTA_CORRUPT && !is_there(story.to) && !is_there(path));
    CHECK(run(&story, -1) == 0 && is_finished(&story, &new_bytes));
    /* One of an earlier update, longer than this image. */
    forget_slot(&story);
    free(part.data);
    part = load(testdata, "firmware/trusted-firmware/new.bin");
    store(path, &part);
    CHECK(run(&story, -1) == 0 && is_finished(&story, &new_bytes));
    free(part.data);
    free(new_bytes.data);
}

/* A package of two components is not for this agent: nothing is written. */
static void another_kind(const char *testdata, const char *folder)
{
    struct story story = story_of(testdata, folder, "slot");
    forget_slot(&story);
    snprintf(story.package, sizeof story.package, "%s/capi/pair.suit", testdata);
    CHECK(run(&story, -1) == 2 && !is_there(story.to));
    snprintf(story.package, sizeof story.package, "%s/capi/in-place.suit", testdata);
    CHECK(run(&story, -1) > 10 && !is_there(story.to));
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

/* A request that cannot be opened is not taken for none: its journal stays. */
static void unreadable_request(const char *testdata, const char *folder)
{
    struct story story = story_of(testdata, folder, "in-place");
    struct bytes old_bytes = load(testdata, "firmware/apollo/old.bin");
    char request[600];
    snprintf(request, sizeof request, "%s.request", story.to);
    store(story.from, &old_bytes);
    store(story.to, &old_bytes);
    CHECK(symlink(request, request) == 0);
    CHECK(run(&story, -1) == 1);
    CHECK(holds(story.from, &old_bytes) && holds(story.to, &old_bytes));
    unlink(request);
    unlink(story.to);
    free(old_bytes.data);
}

int main(int argc, char **argv)
{
    CHECK(argc >= 3);
    two_slots(argv[1], argv[2]);
    changed_part(argv[1], argv[2]);
    another_kind(argv[1], argv[2]);
    one_slot(argv[1], argv[2]);
    unreadable_request(argv[1], argv[2]);
    return passed("linux");
}
