/* An update agent on Linux: verifies a package, then writes the new image beside the old one, or
 * over it.
 *
 *   linux slot PACKAGE TRUST OLD NEW          NEW appears whole or not at all; after a power cut
 *                                             or a kill the same once more goes on
 *   linux in-place PACKAGE TRUST IMAGE JOURNAL    the same, until it gives 0, or 16: then it was
 *                                             done before
 *
 * OLD, NEW and IMAGE are files or block devices (a block device is not renamed: give `slot` a file
 * in the same file system as NEW, `in-place` any). Linked with the library that has the built-in
 * Ed25519.
 *
 * SPDX-License-Identifier: MIT
 */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64

#include "fwdelta.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The library with the built-in Ed25519 asks for this. */
void fwdelta_panic(void)
{
    abort();
}

/* ---- Files as media. The context is the file's descriptor. */

/* Never short: read() may be. */
static int32_t file_read(void *ctx, uint64_t pos, uint8_t *buf, size_t len)
{
    const int *fd = ctx;
    size_t done = 0;
    while (done < len) {
        ssize_t count = pread(*fd, buf + done, len - done, (off_t)(pos + done));
        if (count > 0) {
            done += (size_t)count;
        } else if (count == 0 || errno != EINTR) {
            return count < 0 && errno == EIO ? 1 : 2;
        }
    }
    return 0;
}

static int32_t file_program(void *ctx, uint64_t pos, const uint8_t *data, size_t len)
{
    const int *fd = ctx;
    size_t done = 0;
    while (done < len) {
        ssize_t count = pwrite(*fd, data + done, len - done, (off_t)(pos + done));
        if (count > 0) {
            done += (size_t)count;
        } else if (count == 0 || errno != EINTR) {
            return 2;
        }
    }
    return 0;
}

/* Not called: nothing is erased before it is written. */
static int32_t file_erase(void *ctx, uint32_t sector)
{
    (void)ctx;
    (void)sector;
    return 2;
}

/* Data and length, not the times. The caller made the name durable. */
static int32_t file_sync(void *ctx)
{
    const int *fd = ctx;
    return fdatasync(*fd) == 0 ? 0 : 2;
}

static fwdelta_source source_of(int *fd)
{
    const fwdelta_source source = { .abi = FWDELTA_ABI_VERSION, .ctx = fd, .read = file_read };
    return source;
}

static fwdelta_flash flash_of(int *fd, uint64_t len)
{
    const fwdelta_flash flash = {
        .abi = FWDELTA_ABI_VERSION,
        .sector_len = 1,
        .len = len,
        .write_len = 1,
        .ctx = fd,
        .read = file_read,
        .erase = file_erase,
        .program = file_program,
        .sync = file_sync,
    };
    return flash;
}

/* ---- Small helpers. */

/* Ends the program if the system did not do it. */
static void must(int is_done, const char *what)
{
    if (!is_done) {
        perror(what);
        exit(1);
    }
}

static int open_file(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    must(fd >= 0, path);
    return fd;
}

static uint64_t len_of(int fd, const char *path)
{
    off_t len = lseek(fd, 0, SEEK_END); /* of a block device too */
    must(len >= 0, path);
    return (uint64_t)len;
}

static uint8_t *allocate(uint64_t len)
{
    uint8_t *memory = len <= SIZE_MAX ? malloc(len > 0 ? (size_t)len : 1) : NULL;
    must(memory != NULL, "memory");
    return memory;
}

struct path {
    char text[4096];
};

/* The path that is `path` with `end` behind it. */
static struct path beside(const char *path, const char *end)
{
    struct path found;
    if (snprintf(found.text, sizeof found.text, "%s%s", path, end) >= (int)sizeof found.text) {
        errno = ENAMETOOLONG;
        must(0, path);
    }
    return found;
}

/* A name is durable when its folder is. */
static void sync_folder(const char *path)
{
    struct path copy = beside(path, "");
    int fd = open_file(dirname(copy.text), O_RDONLY | O_DIRECTORY);
    must(fsync(fd) == 0, path);
    close(fd);
}

/* A removal is durable when its folder is, too. */
static void forget(const char *path)
{
    must(unlink(path) == 0 || errno == ENOENT, path);
    sync_folder(path);
}

/* A file of at least `len` bytes, under a durable name. */
static int open_room(const char *path, uint64_t len)
{
    int fd = open_file(path, O_RDWR | O_CREAT);
    must(len_of(fd, path) >= len || ftruncate(fd, (off_t)len) == 0, path);
    must(fsync(fd) == 0, path);
    sync_folder(path);
    return fd;
}

/* An image in a file ends where it ends; a block device stays as long as it is. */
static void cut_image(int fd, const char *path, uint64_t len)
{
    struct stat stat;
    must(fstat(fd, &stat) == 0, path);
    must(!S_ISREG(stat.st_mode) || ftruncate(fd, (off_t)len) == 0, path);
    must(fsync(fd) == 0, path);
}

/* Ends the program if the library refused: the category is the exit code, plus ten as the command
 * has it. */
static void expect(fwdelta_status status, const char *what, const fwdelta_error *error)
{
    if (status != FWDELTA_OK) {
        fprintf(stderr, "%s: %u %s, old image %s\n", what, (unsigned)error->detail,
                fwdelta_error_name(error->detail), error->old_intact ? "intact" : "not intact");
        exit((int)(10 + status));
    }
}

/* Returns from a function what the library refused. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        fwdelta_status status_ = (call);                                                           \
        if (status_ != FWDELTA_OK) {                                                               \
            return status_;                                                                        \
        }                                                                                          \
    } while (0)

/* ---- What both kinds of update have. */

struct job {
    const char *package_path;
    int package_fd;
    /* the old image; in place the new one, too */
    int image_fd;
    int journal_fd;
    fwdelta_source package;
    fwdelta_limits limits;
    fwdelta_delta delta;
    fwdelta_delta_info info;
    /* info.work_len bytes */
    uint8_t *work;
    fwdelta_flash scratch;
    /* to be stored once the new image has proved itself */
    uint64_t sequence;
    fwdelta_error error;
};

/* Nothing is verified yet. */
static void open_package(struct job *job, const char *path)
{
    memset(job, 0, sizeof *job);
    job->package_path = path;
    job->package_fd = open_file(path, O_RDONLY);
    job->package = source_of(&job->package_fd);
    fwdelta_limits_linux(&job->limits);
}

/* Verifies the package: signatures, policy, payload. Then the job has its delta and its sequence
 * number. A modem would tell device.sim, and a file device.sequence. */
static void verify_package(struct job *job, const char *trust)
{
    /* as long as fwdelta_limits_linux lets an envelope be */
    static uint8_t envelope_buf[65536];
    static uint8_t work[65536];
    const fwdelta_device device
        = { .abi = FWDELTA_ABI_VERSION, .sim = FWDELTA_SIM_WITHOUT_FOTA };
    int trust_fd = open_file(trust, O_RDONLY);
    uint64_t trust_len = len_of(trust_fd, trust);
    uint8_t *anchor = allocate(trust_len);
    const fwdelta_update update = {
        .abi = FWDELTA_ABI_VERSION,
        .package = &job->package,
        .package_len = len_of(job->package_fd, job->package_path),
        .trust = anchor,
        .trust_len = (size_t)trust_len,
        .device = &device,
        .limits = &job->limits,
        .envelope_buf = envelope_buf,
        .envelope_buf_len = sizeof envelope_buf,
        .work = work,
        .work_len = sizeof work,
    };
    fwdelta_summary summary;
    must(file_read(&trust_fd, 0, anchor, (size_t)trust_len) == 0, trust);
    close(trust_fd);
    expect(fwdelta_verify(&update, &summary, NULL, 0, &job->error), job->package_path,
           &job->error);
    expect(fwdelta_delta_of_package(&update, 0, NULL, 0, &job->delta, &job->error),
           job->package_path, &job->error);
    free(anchor);
    if (summary.component_count != 1) {
        fprintf(stderr, "%s: has %u components; this agent updates one\n", job->package_path,
                (unsigned)summary.component_count);
        exit(2);
    }
    job->sequence = summary.sequence;
}

/* What the delta says, and memory for it. */
static fwdelta_status read_delta(struct job *job)
{
    TRY(fwdelta_delta_read(&job->delta, &job->limits, &job->info, &job->error));
    job->work = allocate(job->info.work_len);
    return FWDELTA_OK;
}

static void open_journal(struct job *job, const char *path, uint64_t len)
{
    job->journal_fd = open_room(path, len);
    job->scratch = flash_of(&job->journal_fd, len);
}

static void close_job(struct job *job)
{
    close(job->package_fd);
    close(job->image_fd);
    close(job->journal_fd);
    free(job->work);
}

/* ---- Two slots: a part file and a journal, then one rename.
 *
 * The order of what becomes durable:
 *   that no journal is there, before an empty part file is: it may say "done";
 *   the names of part file and journal, before the first checkpoint;
 *   what was written to the part file, before the checkpoint that says so (by the library);
 *   the new image's name, before the journal goes. */

/* Bytes of the new image that are made again at most, after a cut. Whenever as many are written the
 * disk is waited for. */
#ifndef CHECKPOINT_LEN
#define CHECKPOINT_LEN (1u << 20)
#endif

/* Feeds the payload from `pos` on. One that comes over a network could be asked for from there.
 * What is not taken yet is read again. */
static fwdelta_status feed_payload(struct job *job, const fwdelta_two_slots *update, uint64_t pos)
{
    uint8_t buf[4096];
    uint32_t wish = FWDELTA_STREAM_NEEDS_INPUT;
    while (wish != FWDELTA_STREAM_DONE) {
        uint64_t left = job->delta.payload_len - pos;
        size_t len = left < sizeof buf ? (size_t)left : sizeof buf;
        size_t taken = 0;
        must(file_read(&job->package_fd, job->delta.payload_pos + pos, buf, len) == 0, "payload");
        TRY(fwdelta_two_slots_feed(update, buf, len, &taken, &wish, &job->error));
        pos += taken;
    }
    return FWDELTA_OK;
}

/* Writes the new image, or goes on with it. */
static fwdelta_status write_slot(struct job *job, const fwdelta_two_slots *update)
{
    fwdelta_resume_at at = { 0, 0 };
    uint32_t found = FWDELTA_FOUND_NOTHING;
    TRY(fwdelta_two_slots_look(update, &found, &job->error));
    if (found == FWDELTA_FOUND_DONE) {
        return FWDELTA_OK;
    }
    if (found == FWDELTA_FOUND_BEGUN) {
        TRY(fwdelta_two_slots_resume(update, &at, &job->error));
    } else {
        TRY(fwdelta_two_slots_begin(update, &job->error));
    }
    printf("from byte %llu on\n", (unsigned long long)at.new_pos);
    TRY(feed_payload(job, update, at.payload_pos));
    return fwdelta_two_slots_finish(update, &job->error);
}

static fwdelta_status fill_slot(struct job *job, uint64_t old_len, int part_fd,
                                const char *journal)
{
    static fwdelta_two_slots_state state;
    const fwdelta_source old = source_of(&job->image_fd);
    const fwdelta_flash slot = flash_of(&part_fd, job->info.new_len);
    const fwdelta_two_slots update = {
        .abi = FWDELTA_ABI_VERSION,
        .delta = &job->delta,
        .old = &old,
        .old_len = old_len,
        .slot = &slot,
        .scratch = &job->scratch,
        .interval = CHECKPOINT_LEN,
        .limits = &job->limits,
        .state = &state,
        .work = job->work,
        .work_len = (size_t)job->info.work_len,
    };
    uint64_t scratch_len = 0;
    TRY(fwdelta_two_slots_scratch_len(update.delta, update.limits, 1, 1, update.work,
                                      update.work_len, &scratch_len, &job->error));
    open_journal(job, journal, scratch_len);
    return write_slot(job, &update);
}

/* The package is verified by every run: nothing is lost if policy says otherwise by now. A journal
 * that is another package's, or another decision's, is found to say nothing. */
static void to_slot(struct job *job, const char *trust, const char *old_path, const char *new_path)
{
    const struct path part = beside(new_path, ".part");
    const struct path journal = beside(new_path, ".journal");
    fwdelta_status status;
    uint64_t old_len;
    int part_fd;
    verify_package(job, trust);
    expect(read_delta(job), job->package_path, &job->error);
    job->image_fd = open_file(old_path, O_RDONLY);
    old_len = len_of(job->image_fd, old_path);
    if (access(part.text, F_OK) != 0) {
        forget(journal.text);
    }
    part_fd = open_room(part.text, job->info.new_len);
    status = fill_slot(job, old_len, part_fd, journal.text);
    if (status != FWDELTA_OK && status != FWDELTA_STORAGE) {
        forget(journal.text); /* what it leads to is not the new image: begin anew */
        unlink(part.text);
    }
    expect(status, job->package_path, &job->error);
    cut_image(part_fd, part.text, job->info.new_len);
    close(part_fd);
    /* The content is durable; then the name. */
    must(rename(part.text, new_path) == 0, new_path);
    sync_folder(new_path);
    forget(journal.text);
    printf("%llu bytes; store sequence %llu once it has proved itself\n",
           (unsigned long long)job->info.new_len, (unsigned long long)job->sequence);
}

/* ---- In place: a request and a journal.
 *
 * The order of what becomes durable:
 *   that no journal is there, before the request;
 *   the request, whole and under its name, before the first checkpoint;
 *   the journal's name before its content counts;
 *   the new image and its length before the request goes;
 *   the request before the journal: a journal without a request is litter, a request without a
 *   journal would be begun anew on an image that is no longer old. */

/* Verifies the package and leaves a request, from when on policy is not asked again. */
static void make_request(struct job *job, const char *trust, const char *path)
{
    const struct path part = beside(path, ".part");
    const uint8_t *request = (const uint8_t *)&job->delta;
    int fd;
    verify_package(job, trust);
    fd = open_file(part.text, O_RDWR | O_CREAT | O_TRUNC);
    must(file_program(&fd, 0, request, sizeof job->delta) == 0 && file_sync(&fd) == 0, path);
    close(fd);
    must(rename(part.text, path) == 0, path);
    sync_folder(path);
}

static fwdelta_status step_to_end(const fwdelta_in_place *update, fwdelta_error *error)
{
    fwdelta_step step = { 0, 0, 0 };
    while (!step.done) {
        TRY(fwdelta_in_place_step(update, &step, error));
    }
    return FWDELTA_OK;
}

static fwdelta_status rewrite(const fwdelta_in_place *update, fwdelta_error *error)
{
    uint32_t found = FWDELTA_FOUND_NOTHING;
    TRY(fwdelta_in_place_look(update, &found, error));
    if (found == FWDELTA_FOUND_DONE) {
        return FWDELTA_OK;
    }
    if (found == FWDELTA_FOUND_BEGUN) {
        TRY(fwdelta_in_place_resume(update, error));
    } else {
        TRY(fwdelta_in_place_rehearse(update, error));
        TRY(step_to_end(update, error));
        TRY(fwdelta_in_place_begin(update, error));
    }
    TRY(step_to_end(update, error));
    return fwdelta_in_place_finish(update, error);
}

/* Rewrites the image as the delta says, or goes on with it. */
static fwdelta_status apply_request(struct job *job, const char *journal)
{
    static fwdelta_state state;
    const fwdelta_flash slot = flash_of(&job->image_fd, job->info.slot_len);
    const fwdelta_in_place update = {
        .abi = FWDELTA_ABI_VERSION,
        .delta = &job->delta,
        .slot = &slot,
        .scratch = &job->scratch,
        .payload = &job->package,
        .limits = &job->limits,
        .state = &state,
        .work = job->work,
        .work_len = (size_t)job->info.work_len,
    };
    uint64_t scratch_len = 0;
    TRY(fwdelta_in_place_scratch_len(update.delta, update.limits, 1, update.work, update.work_len,
                                     &scratch_len, &job->error));
    open_journal(job, journal, scratch_len);
    return rewrite(&update, &job->error);
}

/* The delta that is asked for, by an earlier run or by this one. */
static void find_request(struct job *job, const char *trust, const char *journal,
                         const char *request)
{
    int fd = open(request, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        must(errno == ENOENT, request);
        forget(journal); /* of an earlier update, if it is there: it may say "done" */
        make_request(job, trust, request);
        return;
    }
    must(file_read(&fd, 0, (uint8_t *)&job->delta, sizeof job->delta) == 0, request);
    close(fd);
}

static void in_place(struct job *job, const char *trust, const char *image, const char *journal)
{
    const struct path request = beside(journal, ".request");
    fwdelta_status status;
    job->image_fd = open_file(image, O_RDWR);
    find_request(job, trust, journal, request.text);
    status = read_delta(job);
    if (status == FWDELTA_OK) {
        status = apply_request(job, journal);
    }
    if (status != FWDELTA_OK && (job->error.old_intact || status == FWDELTA_WRONG_OLD)) {
        unlink(request.text); /* nothing was begun: another package may come */
    }
    expect(status, image, &job->error);
    cut_image(job->image_fd, image, job->info.new_len);
    forget(request.text);
    unlink(journal);
    printf("%s: %llu bytes in place\n", image, (unsigned long long)job->info.new_len);
}

int main(int argc, char **argv)
{
    struct job job;
    int is_slot = argc == 6 && strcmp(argv[1], "slot") == 0;
    int is_in_place = argc == 6 && strcmp(argv[1], "in-place") == 0;
    if (!is_slot && !is_in_place) {
        fprintf(stderr, "usage: %s slot PACKAGE TRUST OLD NEW\n"
                        "       %s in-place PACKAGE TRUST IMAGE JOURNAL\n", argv[0], argv[0]);
        return 2;
    }
    open_package(&job, argv[2]);
    if (is_slot) {
        to_slot(&job, argv[3], argv[4], argv[5]);
    } else {
        in_place(&job, argv[3], argv[4], argv[5]);
    }
    close_job(&job);
    return 0;
}
