/* pool-test.c — the thread pool and its steps, as JavaScript uses them: order of a stream's digests, wake-ups, descriptors,
   errors, workers stuck in system calls, stop; then every file step in a folder of its own. Waits are bounded. */
#define _GNU_SOURCE
#include "../../src/codec/native/pool.h"
#include "../../src/codec/native/codec.h"
#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define STEPS_MAX 8
#define TASKS_MAX 600
#define WAIT_MS 20000
#define THREADS 2
#define THREADS_MAX 5
#define STOP_MS 10000

struct memory {
  struct task task;
  struct step steps[STEPS_MAX];
};

static struct memory tasks[TASKS_MAX];
static uint32_t next_task;
static char folder[] = "/tmp/sherd-pool-test-XXXXXX";
static _Atomic uint32_t wakes;

static void on_wake(void) { atomic_fetch_add(&wakes, 1); }

static uint64_t address(const void *p) { return (uint64_t)(uintptr_t)p; }

enum { THREADS_NOW, IDLE, READY, DIGESTS, SUBMITTED, COMPLETED, MAX, DONE };
static uint64_t stat_of(uint32_t which) {
  uint64_t out[8];
  sherd_pool_stats(out);
  return out[which];
}

/* Polls, for the pool promises a wake-up but no date. */
static bool wait_until_stat(uint32_t which, uint64_t value) {
  for (uint32_t ms = 0; ms < WAIT_MS; ms++) {
    if (stat_of(which) >= value) return true;
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  return false;
}

/* Until so many tasks wait for a worker, and no worker for a task. */
static bool wait_until_left(uint64_t tasks) {
  for (uint32_t ms = 0; ms < WAIT_MS; ms++) {
    if (stat_of(READY) == tasks && stat_of(IDLE) == 0) return true;
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  return false;
}

/* ---- tasks ---- */

static struct task *new_task(void) {
  struct memory *m = &tasks[next_task];
  memset(m, 0, sizeof *m);
  m->task.id = ++next_task;
  return &m->task;
}

static void add(struct task *t, uint32_t op, uint32_t flags, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3) {
  t->step[t->steps++] = (struct step){.op = op, .flags = flags, .a = {a0, a1, a2, a3}};
}

static void submit(struct task *t) {
  const uint64_t at = address(t);
  sherd_pool_submit(&at, 1);
}

/* Takes ids until this many tasks came back in all since the pool started. */
static uint64_t drained;
static bool drain_until(uint64_t count) {
  uint64_t ids[64];
  for (uint32_t ms = 0; ms < WAIT_MS && drained < count; ms++) {
    const uint32_t now = sherd_pool_drain(ids, 64);
    for (uint32_t i = 0; i < now; i++) CHECK(ids[i] >= 1 && ids[i] <= next_task);
    drained += now;
    if (!now) nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  return drained == count;
}

static int32_t run(struct task *t) {
  submit(t);
  CHECK(drain_until(drained + 1));
  return t->error;
}

static void start_pool_of(uint32_t threads_max) {
  next_task = 0;
  drained = 0;
  atomic_store(&wakes, 0);
  CHECK(sherd_pool_start(THREADS, threads_max, on_wake) == 0);
}
static void start_pool(void) { start_pool_of(THREADS_MAX); }

static void stop_pool(void) {
  CHECK(sherd_pool_stop(STOP_MS) == 0);
  CHECK(stat_of(THREADS_NOW) == 0);
}

static char path_text[16][256];
static uint64_t path(uint32_t slot, const char *name) {
  char text[256];
  snprintf(text, sizeof text, "%s/%s", folder, name);
  if (strcmp(text, path_text[slot])) strcpy(path_text[slot], text); /* a worker may be reading what is there */
  return address(path_text[slot]);
}

static uint32_t open_descriptors(void) {
  uint32_t count = 0;
  DIR *dir = opendir("/proc/self/fd");
  if (!dir) return 0;
  while (readdir(dir)) count++;
  closedir(dir);
  return count;
}

static bool exists(uint32_t slot) { return access(path_text[slot], F_OK) == 0; }

/* ---- the pool ---- */

static void digests_of_a_stream_stay_in_order(void) {
  enum { STREAMS = 7, BYTES = 300 * 100 };
  static uint64_t together[STREAMS][128], alone[STREAMS][128];
  static uint8_t data[BYTES];
  noise_fill(data, sizeof data);
  start_pool();
  for (uint32_t i = 0; i < STREAMS; i++) {
    sherd_digest_init(together[i], 3);
    sherd_digest_init(alone[i], 3);
  }
  for (uint32_t i = 0; i < TASKS_MAX; i++) {
    const uint32_t bytes = noise_below(300), at = noise_below(BYTES - bytes), stream = noise_below(STREAMS);
    struct task *t = new_task();
    add(t, STEP_DIGEST, 0, address(together[stream]), address(data + at), bytes, 0);
    submit(t);
    sherd_digest_update(alone[stream], data + at, bytes);
  }
  CHECK(drain_until(TASKS_MAX));
  for (uint32_t i = 0; i < STREAMS; i++) {
    uint8_t expected[96], out[96];
    sherd_digest_final(alone[i], expected);
    sherd_digest_final(together[i], out);
    CHECK(memcmp(out, expected, sizeof out) == 0);
  }
  stop_pool();
}

/* Bytes in pieces, as data shards lie in their slots, of several tasks of a stream and of several streams at once. */
static void digests_go_over_pieces(void) {
  enum { STREAMS = 5, ROUNDS = 40, STRIDE = 1100, SLOTS = 16 * STRIDE };
  static uint64_t together[STREAMS][128], alone[STREAMS][128];
  static uint8_t data[SLOTS];
  noise_fill(data, sizeof data);
  start_pool();
  for (uint32_t i = 0; i < STREAMS; i++) {
    sherd_digest_init(together[i], 63);
    sherd_digest_init(alone[i], 63);
  }
  for (uint32_t i = 0; i < STREAMS * ROUNDS; i++) {
    const uint32_t piece = 1 + noise_below(1000), pieces = 1 + noise_below(16), stream = noise_below(STREAMS);
    const uint32_t total = piece * (pieces - 1) + 1 + noise_below(piece);
    struct task *t = new_task();
    add(t, STEP_DIGEST, 0, address(together[stream]), address(data), total, piece);
    t->step[0].a[4] = STRIDE;
    submit(t);
    for (uint32_t at = 0; at < total; at += piece)
      sherd_digest_update(alone[stream], data + at / piece * STRIDE, total - at < piece ? total - at : piece);
  }
  CHECK(drain_until(STREAMS * ROUNDS));
  for (uint32_t i = 0; i < STREAMS; i++) {
    uint8_t expected[96], out[96];
    sherd_digest_final(alone[i], expected);
    sherd_digest_final(together[i], out);
    CHECK(memcmp(out, expected, sizeof out) == 0);
  }
  stop_pool();
}

static void one_wake_up_brings_many_completions(void) {
  start_pool();
  for (uint32_t i = 0; i < 500; i++) {
    struct task *t = new_task();
    t->flags = TASK_LIGHT;
    add(t, STEP_STAT, 0, address("/"), 0, 0, 0);
    submit(t);
  }
  CHECK(wait_until_stat(DONE, 500)); /* nobody has drained: the list was empty once */
  stop_pool();
  CHECK(atomic_load(&wakes) == 1);
  CHECK(drain_until(500));
}

static void an_error_ends_the_task_and_closes_its_descriptors(void) {
  start_pool();
  const uint32_t before = open_descriptors();
  struct task *t = new_task();
  add(t, STEP_OPEN, 0, address("/"), O_RDONLY, 0, 0);
  add(t, STEP_OPEN, 1, address("/"), O_RDONLY, 0, 0);
  add(t, STEP_KEEP, 1, 0, 0, 0, 0);
  add(t, STEP_UNLINK, 0, path(0, "absent"), 0, 0, 0);
  add(t, STEP_MKDIR, 0, path(1, "never"), 0, 0, 0);
  CHECK(run(t) == ENOENT);
  CHECK(t->failed_step == 3);
  CHECK(!exists(1));
  CHECK(open_descriptors() == before);
  t = new_task();
  add(t, STEP_UNLINK, STEP_IGNORE_ENOENT, path(0, "absent"), 0, 0, 0);
  add(t, STEP_RMDIR, STEP_IGNORE_ANY, path(0, "absent"), 0, 0, 0);
  add(t, 999, 0, 0, 0, 0, 0);
  CHECK(run(t) == ENOSYS);
  CHECK(t->step[0].result == -ENOENT && t->step[1].result == -ENOENT && t->failed_step == 2);
  stop_pool();
}

static void a_kept_descriptor_is_the_callers(void) {
  start_pool();
  const uint32_t before = open_descriptors();
  struct task *t = new_task();
  add(t, STEP_OPEN, 2, path(0, "kept"), O_RDWR | O_CREAT, 0600, 0);
  add(t, STEP_PWRITE, 2, address("abc"), 3, 0, 0);
  add(t, STEP_KEEP, 2, 0, 0, 0, 0);
  CHECK(run(t) == 0);
  const int fd = (int)t->step[2].result;
  CHECK(open_descriptors() == before + 1);

  char read_back[4] = "";
  t = new_task(); /* borrowed: open afterwards, also when the task fails */
  add(t, STEP_USE, 0, (uint64_t)fd, 0, 0, 0);
  add(t, STEP_PREAD, 0, address(read_back), 3, 0, 0);
  add(t, STEP_KEEP, 0, 0, 0, 0, 0);
  add(t, STEP_RMDIR, 0, path(1, "absent"), 0, 0, 0);
  CHECK(run(t) == ENOENT && t->step[1].result == 3 && strcmp(read_back, "abc") == 0);
  CHECK(fcntl(fd, F_GETFD) >= 0);

  t = new_task(); /* given: closed by the task */
  add(t, STEP_USE, STEP_OWN, (uint64_t)fd, 0, 0, 0);
  CHECK(run(t) == 0);
  CHECK(fcntl(fd, F_GETFD) < 0 && errno == EBADF);
  CHECK(open_descriptors() == before);
  stop_pool();
}

/* A FIFO without a writer holds whoever opens it, as a drive that hangs would. */
static struct task *stuck_task(void) {
  struct task *t = new_task();
  add(t, STEP_OPEN, 0, path(0, "fifo"), O_RDONLY, 0, 0);
  submit(t);
  return t;
}

static void free_the_stuck(void) {
  const int fd = open(path_text[0], O_RDWR | O_NONBLOCK);
  CHECK(fd >= 0);
  CHECK(drain_until(next_task));
  close(fd);
}

static void stuck_workers_are_replaced_up_to_the_most(void) {
  path(0, "fifo");
  CHECK(mkfifo(path_text[0], 0600) == 0);
  start_pool();
  for (uint32_t i = 0; i < THREADS_MAX - 1; i++) stuck_task();
  struct task *t = new_task();
  add(t, STEP_STAT, 0, address("/"), 0, 0, 0);
  CHECK(run(t) == 0); /* while four others hang */
  CHECK(stat_of(COMPLETED) == 1);
  for (uint32_t i = 0; i < 4; i++) stuck_task();
  CHECK(wait_until_stat(THREADS_NOW, THREADS_MAX) && wait_until_left(3)); /* a new thread takes its task a moment later */
  nanosleep(&(struct timespec){0, 200000000}, NULL); /* ten looks of the monitor: none may add another */
  CHECK(stat_of(THREADS_NOW) == THREADS_MAX && stat_of(IDLE) == 0 && stat_of(READY) == 3);
  free_the_stuck();
  stop_pool();
}

/* Every drive of a set syncs its log at the same time, however few processors there are, and whatever the others do. */
static void tasks_that_sync_all_run_at_once(void) {
  start_pool();
  for (uint32_t i = 0; i < THREADS; i++) stuck_task();
  CHECK(wait_until_left(0)); /* nobody is free */
  for (uint32_t i = 0; i < 2; i++) {
    struct task *t = new_task();
    add(t, STEP_OPEN, 0, path(0, "fifo"), O_RDONLY, 0, 0);
    add(t, STEP_FSYNC, 0, 0, 0, 0, 0); /* never comes to it */
    submit(t);
  }
  CHECK(stat_of(THREADS_NOW) == THREADS + 2);
  struct task *t = new_task();
  add(t, STEP_OPEN, 0, path(1, "synced"), O_WRONLY | O_CREAT, 0600, 0);
  add(t, STEP_PWRITE, 0, address("abc"), 3, 0, 0);
  add(t, STEP_FDATASYNC, 0, 0, 0, 0, 0);
  CHECK(run(t) == 0);
  CHECK(stat_of(COMPLETED) == 1);
  free_the_stuck();
  stop_pool();
}

/* And what computes need not wait until one of them has. */
static void syncs_hold_up_nothing_else(void) {
  start_pool();
  for (uint32_t i = 0; i < THREADS; i++) {
    struct task *t = new_task();
    add(t, STEP_OPEN, 0, path(0, "fifo"), O_RDONLY, 0, 0);
    add(t, STEP_FSYNC, 0, 0, 0, 0, 0); /* never comes to it */
    submit(t);
  }
  CHECK(wait_until_left(0)); /* nobody is free */
  struct task *t = new_task();
  add(t, STEP_STAT, 0, address("/"), 0, 0, 0);
  submit(t);
  CHECK(stat_of(THREADS_NOW) == THREADS + 1); /* at once, and not when the monitor looks */
  CHECK(drain_until(1) && t->error == 0);
  free_the_stuck();
  stop_pool();
}

/* Tasks end all the time, but each sleeps before it does, as with many slow drives: more of them have to be under way at once. */
static void workers_that_sleep_are_joined_by_others(void) {
  enum { SLOW = 8, TURNS = 300 };
  static const char *const names[SLOW] = {"slow-0", "slow-1", "slow-2", "slow-3", "slow-4", "slow-5", "slow-6", "slow-7"};
  start_pool();
  for (uint32_t i = 0; i < SLOW; i++) {
    path(i, names[i]);
    CHECK(mkfifo(path_text[i], 0600) == 0);
  }
  uint32_t turn = 0;
  for (; turn < TURNS && stat_of(THREADS_NOW) < THREADS_MAX; turn++) {
    if (turn >= SLOW) { /* the one that has slept for longest ends */
      const int fd = open(path_text[turn % SLOW], O_RDWR | O_NONBLOCK);
      CHECK(fd >= 0);
      nanosleep(&(struct timespec){0, 5000000}, NULL);
      close(fd);
    }
    struct task *t = new_task();
    add(t, STEP_OPEN, 0, path(turn % SLOW, names[turn % SLOW]), O_RDONLY, 0, 0);
    submit(t);
  }
  CHECK(turn < TURNS);
  int fds[SLOW];
  for (uint32_t i = 0; i < SLOW; i++) fds[i] = open(path_text[i], O_RDWR | O_NONBLOCK);
  CHECK(drain_until(next_task));
  for (uint32_t i = 0; i < SLOW; i++) close(fds[i]);
  stop_pool();
}

/* One worker hangs, and others have more to compute than they can: there is one more of them, not one more at each look. */
static void a_worker_that_hangs_has_another_in_its_place(void) {
  enum { BYTES = 16 << 20 };
  uint8_t *data = calloc(1, BYTES);
  start_pool();
  stuck_task();
  CHECK(wait_until_stat(SUBMITTED, 1));
  bool came = false;
  for (uint32_t ms = 0; ms < 1000 || (!came && ms < WAIT_MS); ms += 2) {
    while (next_task < TASKS_MAX && stat_of(READY) < 4) {
      struct task *t = new_task();
      add(t, STEP_S2_CHECK, 0, address(data), BYTES, 0, 0);
      submit(t);
    }
    nanosleep(&(struct timespec){0, 2000000}, NULL);
    came = came || stat_of(THREADS_NOW) > THREADS;
    if (next_task == TASKS_MAX) break;
  }
  CHECK(came);
  CHECK(stat_of(THREADS_NOW) <= THREADS + 2);
  free_the_stuck();
  stop_pool();
  free(data);
}

/* Light tasks share a hand-over; one of them that hangs must hold neither those before it nor those behind it. */
static void a_stuck_task_holds_none_of_its_batch(void) {
  start_pool();
  uint64_t batch[4];
  for (uint32_t i = 0; i < 4; i++) {
    struct task *t = new_task();
    t->flags = TASK_LIGHT;
    if (i == 1) add(t, STEP_OPEN, 0, path(0, "fifo"), O_RDONLY, 0, 0);
    else add(t, STEP_STAT, 0, address("/"), 0, 0, 0);
    batch[i] = address(t);
  }
  sherd_pool_submit(batch, 4);
  CHECK(drain_until(3));
  CHECK(stat_of(COMPLETED) == 3);
  for (uint32_t i = 0; i < 4; i++) CHECK(i == 1 || tasks[i].task.failed_step == -1);
  free_the_stuck();
  stop_pool();
}

/* A drive on which everything hangs keeps a part of the workers, however many of its tasks there are; none of them is lost. */
static void a_drive_that_hangs_leaves_workers_to_the_others(void) {
  enum { MANY = 100, MOST = 64 };
  start_pool_of(MOST);
  for (uint32_t i = 0; i < 2 * MANY; i++) {
    struct task *t = new_task();
    t->lane = 3;
    t->flags = i % 3 == 0 ? TASK_LIGHT : 0;
    add(t, STEP_OPEN, 0, path(0, "fifo"), O_RDONLY, 0, 0);
    if (i >= MANY) add(t, STEP_FSYNC, 0, 0, 0, 0, 0); /* never comes to it */
    submit(t);
  }
  for (uint32_t lane = 0; lane < 3; lane++) {
    struct task *t = new_task();
    t->lane = lane;
    add(t, STEP_OPEN, 0, path(1, "synced"), O_WRONLY | O_CREAT, 0600, 0);
    if (lane == 2) add(t, STEP_FDATASYNC, 0, 0, 0, 0, 0);
    CHECK(run(t) == 0);
  }
  CHECK(stat_of(COMPLETED) == 3);
  CHECK(stat_of(THREADS_NOW) < MOST);
  const int fd = open(path_text[0], O_RDWR | O_NONBLOCK);
  CHECK(fd >= 0);
  CHECK(drain_until(next_task));
  close(fd);
  for (uint32_t i = 0; i < 2 * MANY; i++) CHECK(tasks[i].task.error == (i < MANY ? 0 : EINVAL));
  CHECK(stat_of(READY) == 0);
  stop_pool();
}

static void stop_waits_for_what_runs_and_says_what_hangs(void) {
  start_pool();
  stuck_task();
  CHECK(wait_until_stat(SUBMITTED, 1));
  while (stat_of(READY)) nanosleep(&(struct timespec){0, 1000000}, NULL);
  const uint32_t woken = atomic_load(&wakes);
  CHECK(sherd_pool_stop(1000) == 1); /* the monitor naps for a tenth of that */
  CHECK(sherd_pool_start(THREADS, THREADS_MAX, on_wake) == -1); /* not while a worker is left */
  const int fd = open(path_text[0], O_RDWR | O_NONBLOCK);
  CHECK(fd >= 0);
  stop_pool();
  close(fd);
  CHECK(atomic_load(&wakes) == woken); /* JavaScript may be gone */
  start_pool(); /* and once more */
  struct task *t = new_task();
  add(t, STEP_STAT, 0, address("/"), 0, 0, 0);
  CHECK(run(t) == 0);
  CHECK(sherd_pool_start(THREADS, THREADS_MAX, on_wake) == -1);
  stop_pool();
  CHECK(sherd_pool_stop(0) == 0);
}

/* Many threads hand over and take back at the same time; TSan looks on. */
static void *submit_some(void *from) {
  for (uint32_t i = 0; i < 100; i++) submit(&((struct memory *)from)[i].task);
  return NULL;
}

static void many_threads_may_submit(void) {
  start_pool();
  for (uint32_t i = 0; i < 400; i++) {
    struct task *t = new_task();
    t->flags = i % 2 ? TASK_LIGHT : 0;
    add(t, STEP_STAT, 0, address("/"), 0, 0, 0);
  }
  pthread_t threads[4];
  for (uint32_t i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, submit_some, &tasks[100 * i]) == 0);
  CHECK(drain_until(400));
  for (uint32_t i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  stop_pool();
}

/* ---- file steps ---- */

static void files_are_written_and_read(void) {
  static uint8_t content[10000], back[10001];
  noise_fill(content, sizeof content);
  start_pool();
  uint64_t about[4] = {0};
  struct task *t = new_task();
  add(t, STEP_WRITE_FILE, 0, path(0, "file"), address(content), sizeof content, 3);
  add(t, STEP_READ_FILE, 0, path(0, "file"), address(back), sizeof back, 0);
  add(t, STEP_STAT, 0, path(0, "file"), address(about), 0, 0);
  CHECK(run(t) == 0);
  CHECK(t->step[1].result == sizeof content && t->step[2].result == sizeof content);
  CHECK(memcmp(back, content, sizeof content) == 0 && S_ISREG(about[0]) && about[3] != 0);

  t = new_task(); /* exclusive */
  add(t, STEP_WRITE_FILE, 0, path(0, "file"), address(content), 1, 1);
  CHECK(run(t) == EEXIST);
  t = new_task(); /* exactly full, then one byte too few */
  add(t, STEP_READ_FILE, 0, path(0, "file"), address(back), sizeof content, 0);
  add(t, STEP_READ_FILE, 0, path(0, "file"), address(back), sizeof content - 1, 0);
  CHECK(run(t) == E2BIG && t->failed_step == 1 && t->step[0].result == sizeof content && t->step[1].result == sizeof content);
  t = new_task(); /* replaced by an empty one */
  add(t, STEP_WRITE_FILE, 0, path(0, "file"), 0, 0, 0);
  add(t, STEP_READ_FILE, 0, path(0, "file"), address(back), sizeof back, 0);
  CHECK(run(t) == 0 && t->step[1].result == 0);
  stop_pool();
}

static void descriptors_are_read_and_written_at_offsets(void) {
  static uint8_t back[64];
  start_pool();
  struct task *t = new_task();
  add(t, STEP_OPEN, 3, path(0, "at"), O_RDWR | O_CREAT | O_EXCL, 0600, 0);
  add(t, STEP_PWRITE, 3, address("0123456789"), 10, 5, 0);
  add(t, STEP_PREAD, 3, address(back), sizeof back, 7, 0);
  add(t, STEP_TRUNCATE, 3, 9, 0, 0, 0);
  add(t, STEP_FDATASYNC, 3, 0, 0, 0, 0);
  add(t, STEP_FSYNC, 3, 0, 0, 0, 0);
  add(t, STEP_FSTAT, 3, 0, 0, 0, 0);
  add(t, STEP_CLOSE, 3, 0, 0, 0, 0);
  CHECK(run(t) == 0);
  CHECK(t->step[2].result == 8 && memcmp(back, "23456789", 8) == 0 && t->step[6].result == 9);
  t = new_task();
  add(t, STEP_PREAD, 0, address(back), 1, 0, 0);
  CHECK(run(t) == EBADF);
  stop_pool();
}

static void folders_are_made_and_removed(void) {
  uint64_t space[6] = {0};
  start_pool();
  struct task *t = new_task();
  add(t, STEP_MKDIR_PATH, 0, path(0, "a/b/c/d"), strlen(folder), 0, 0);
  add(t, STEP_MKDIR_PATH, 0, path(0, "a/b/c/d"), strlen(folder), 0, 0);
  add(t, STEP_MKDIR, STEP_IGNORE_EEXIST, path(1, "a"), 0, 0, 0);
  add(t, STEP_SYNCFS, 0, path(1, "a"), 0, 0, 0);
  add(t, STEP_STATVFS, 0, path(1, "a"), address(space), 0, 0);
  add(t, STEP_RMDIR, STEP_IGNORE_ENOTEMPTY, path(1, "a"), 0, 0, 0);
  CHECK(run(t) == 0 && space[0] >= space[1] && space[1] >= space[2] && space[5] != 0);
  CHECK(exists(0));
  t = new_task(); /* up to what is not empty, and never the folder given */
  add(t, STEP_WRITE_FILE, 0, path(2, "a/b/stays"), 0, 0, 0);
  add(t, STEP_RMDIR_UP, 0, path(0, "a/b/c/d"), strlen(folder), 0, 0);
  add(t, STEP_RENAME, 0, path(2, "a/b/stays"), path(3, "moved"), 0, 0);
  add(t, STEP_LINK, 0, path(3, "moved"), path(4, "linked"), 0, 0);
  add(t, STEP_UNLINK, 0, path(3, "moved"), 0, 0, 0);
  add(t, STEP_RMDIR_UP, 0, path(5, "a/b"), strlen(folder), 0, 0);
  CHECK(run(t) == 0);
  CHECK(!exists(1) && !exists(2) && !exists(3) && exists(4) && access(folder, F_OK) == 0);
  stop_pool();
}

static void a_folder_can_say_that_its_children_are_unrelated(void) {
  start_pool();
  struct statfs facts;
  const int fd = open(folder, O_RDONLY | O_DIRECTORY);
  CHECK(fd >= 0 && fstatfs(fd, &facts) == 0);
  const bool is_ext4 = facts.f_type == EXT4_SUPER_MAGIC;
  for (int again = 0; again < 2; again++) {
    struct task *t = new_task();
    add(t, STEP_UNRELATED_CHILDREN, 0, address(folder), 0, 0, 0);
    CHECK(run(t) == (is_ext4 ? 0 : ENOTSUP));
    int flags = 0;
    if (is_ext4) CHECK(ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & 0x20000)); /* lsattr shows T */
  }
  close(fd);
  stop_pool();
}

static void a_tree_goes_but_what_links_lead_to_stays(void) {
  start_pool();
  struct task *t = new_task();
  add(t, STEP_MKDIR_PATH, 0, path(0, "tree/x/y"), strlen(folder), 0, 0);
  add(t, STEP_WRITE_FILE, 0, path(1, "tree/x/y/f"), 0, 0, 0);
  add(t, STEP_MKDIR, 0, path(2, "outside"), 0, 0, 0);
  add(t, STEP_WRITE_FILE, 0, path(3, "outside/f"), 0, 0, 0);
  CHECK(run(t) == 0);
  path(4, "tree/x/link");
  CHECK(symlink(path_text[2], path_text[4]) == 0);
  t = new_task();
  add(t, STEP_REMOVE_TREE, 0, path(5, "tree"), 0, 0, 0);
  add(t, STEP_REMOVE_TREE, 0, path(5, "tree"), 0, 0, 0); /* gone already */
  CHECK(run(t) == 0);
  CHECK(!exists(5) && exists(3));
  stop_pool();
}

static void folders_are_listed(void) {
  uint8_t out[64];
  start_pool();
  struct task *t = new_task();
  add(t, STEP_MKDIR_PATH, 0, path(0, "list/dir"), strlen(folder), 0, 0);
  add(t, STEP_WRITE_FILE, 0, path(1, "list/file"), 0, 0, 0);
  add(t, STEP_READDIR, 0, path(2, "list"), address(out), sizeof out, 0);
  CHECK(run(t) == 0);
  CHECK(t->step[2].result == 3 + 3 + 3 + 4);
  uint32_t files = 0, dirs = 0;
  for (uint32_t at = 0; at < 13; at += 3 + out[at + 1]) {
    if (out[at] == 1 && memcmp(out + at + 3, "file", 4) == 0) files++;
    if (out[at] == 2 && memcmp(out + at + 3, "dir", 3) == 0) dirs++;
  }
  CHECK(files == 1 && dirs == 1);
  uint8_t *edge = before_guard_page(12);
  t = new_task(); /* one byte too few: says how many it needs */
  add(t, STEP_READDIR, 0, path(2, "list"), address(edge), 12, 0);
  CHECK(run(t) == E2BIG && t->step[0].result == 13);
  stop_pool();
}

static void frames_are_coded_stored_and_verified(void) {
  enum { K = 3, M = 2, BYTES = 1001, STRIDE = SHERD_HASH_BYTES + BYTES };
  static uint64_t plan[2048];
  static uint8_t slots[(K + M) * STRIDE], back[STRIDE];
  CHECK(sherd_plan_bytes() <= sizeof plan && sherd_plan_init(plan, K, M) == 0);
  noise_fill(slots, sizeof slots);
  start_pool();
  struct task *t = new_task();
  add(t, STEP_ENCODE, 0, address(plan), address(slots), STRIDE, BYTES);
  add(t, STEP_WRITE_FILE, 0, path(0, "frames"), address(slots), sizeof slots, 0);
  add(t, STEP_OPEN, 0, path(0, "frames"), O_RDONLY, 0, 0);
  add(t, STEP_READ_FRAME, 0, address(back), address(back + SHERD_HASH_BYTES), BYTES, 4 * STRIDE);
  add(t, STEP_VERIFY_FRAME, 0, address(back), address(back + SHERD_HASH_BYTES), BYTES, 0);
  CHECK(run(t) == 0 && memcmp(back, slots + 4 * STRIDE, STRIDE) == 0);

  t = new_task(); /* shifted by one: a wrong hash; past the end: too short */
  add(t, STEP_OPEN, 0, path(0, "frames"), O_RDONLY, 0, 0);
  add(t, STEP_READ_FRAME, STEP_IGNORE_ANY, address(back), address(back + SHERD_HASH_BYTES), BYTES, 1);
  add(t, STEP_READ_FRAME, STEP_IGNORE_ANY, address(back), address(back + SHERD_HASH_BYTES), BYTES, 4 * STRIDE + 1);
  add(t, STEP_READ_FRAME, STEP_IGNORE_ANY, address(back), address(back + SHERD_HASH_BYTES), BYTES, 50 * STRIDE);
  CHECK(run(t) == 0);
  for (uint32_t i = 1; i < 4; i++) CHECK(t->step[i].result == -EBADMSG);

  memset(slots, 0, STRIDE);
  t = new_task();
  add(t, STEP_REBUILD_SLOTS, 0, address(plan), address(slots), STRIDE, BYTES);
  t->step[0].a[4] = 0x1e | 1 << 16;
  CHECK(run(t) == 0 && sherd_verify_slots(slots, STRIDE, BYTES, 0x1f) == 0);
  t->step[0].a[4] = 0x06 | 1 << 16; /* two of the needed three */
  CHECK(run(t) == EINVAL);
  stop_pool();
}

/* Frames of any size with room before them, at any alignment: the file is their sequence, the rest of a page waits in the tail. */
static void appends_are_put_together(void) {
  enum { TOTAL = 600000, FRAME_MAX = 90000 };
  uint8_t *content = malloc(TOTAL), *back = malloc(TOTAL), *tail = before_guard_page(APPEND_PAGE);
  noise_fill(content, TOTAL);
  start_pool();
  struct task *t = new_task();
  add(t, STEP_OPEN, 0, path(0, "appended"), O_WRONLY | O_CREAT | O_EXCL | O_DIRECT, 0600, 0);
  add(t, STEP_KEEP, 0, 0, 0, 0, 0);
  CHECK(run(t) == 0);
  const uint64_t fd = (uint64_t)t->step[1].result;
  uint64_t written = 0;
  for (uint64_t bytes = 1; written < TOTAL; bytes = noise_below(FRAME_MAX)) {
    if (bytes > TOTAL - written) bytes = TOTAL - written;
    const uint64_t lead = written % APPEND_PAGE;
    uint8_t *region = written % 3 ? before_guard_page(lead + bytes) : after_guard_page(lead + bytes);
    memcpy(region + lead, content + written, bytes);
    t = new_task();
    add(t, STEP_USE, 0, fd, 0, 0, 0);
    add(t, STEP_APPEND, 0, address(region), lead, bytes, address(tail));
    t->step[1].a[4] = written - lead;
    CHECK(run(t) == 0);
    release_guarded(region);
    written += bytes;
  }
  t = new_task();
  add(t, STEP_USE, STEP_OWN, fd, 0, 0, 0);
  add(t, STEP_FLUSH, 0, address(tail), TOTAL % APPEND_PAGE, TOTAL / APPEND_PAGE * APPEND_PAGE, 0);
  add(t, STEP_FSYNC, 0, 0, 0, 0, 0);
  add(t, STEP_READ_FILE, 0, path(0, "appended"), address(back), TOTAL, 0);
  CHECK(run(t) == 0 && t->step[3].result == TOTAL && memcmp(back, content, TOTAL) == 0);
  stop_pool();
  free(content);
  free(back);
}

static void names_too_long_are_refused(void) {
  char *name = malloc(10000);
  memset(name, 'a', 9999);
  name[0] = '/';
  name[9999] = 0;
  start_pool();
  static const uint32_t ops[] = {STEP_MKDIR_PATH, STEP_RMDIR_UP, STEP_MKDIR, STEP_STAT, STEP_REMOVE_TREE};
  for (uint32_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
    struct task *t = new_task();
    add(t, ops[i], 0, address(name), 0, 0, 0);
    CHECK(run(t) == ENAMETOOLONG);
  }
  stop_pool();
  free(name);
}

int main(void) {
  if (!mkdtemp(folder)) abort();
  run_test("digests of a stream stay in order", digests_of_a_stream_stay_in_order);
  run_test("digests go over pieces", digests_go_over_pieces);
  run_test("one wake-up brings many completions", one_wake_up_brings_many_completions);
  run_test("an error ends the task and closes its descriptors", an_error_ends_the_task_and_closes_its_descriptors);
  run_test("a kept descriptor is the caller's", a_kept_descriptor_is_the_callers);
  run_test("stuck workers are replaced, up to the most", stuck_workers_are_replaced_up_to_the_most);
  run_test("tasks that sync all run at once", tasks_that_sync_all_run_at_once);
  run_test("syncs hold up nothing else", syncs_hold_up_nothing_else);
  run_test("workers that sleep are joined by others", workers_that_sleep_are_joined_by_others);
  run_test("a worker that hangs has another in its place", a_worker_that_hangs_has_another_in_its_place);
  run_test("a stuck task holds none of its batch", a_stuck_task_holds_none_of_its_batch);
  run_test("a drive that hangs leaves workers to the others", a_drive_that_hangs_leaves_workers_to_the_others);
  run_test("stop waits for what runs and says what hangs", stop_waits_for_what_runs_and_says_what_hangs);
  run_test("many threads may submit", many_threads_may_submit);
  run_test("files are written and read", files_are_written_and_read);
  run_test("descriptors are read and written at offsets", descriptors_are_read_and_written_at_offsets);
  run_test("folders are made and removed", folders_are_made_and_removed);
  run_test("a folder can say that its children are unrelated", a_folder_can_say_that_its_children_are_unrelated);
  run_test("a tree goes, but what links lead to stays", a_tree_goes_but_what_links_lead_to_stays);
  run_test("folders are listed, or say what room they need", folders_are_listed);
  run_test("frames are coded, stored and verified", frames_are_coded_stored_and_verified);
  run_test("appends are put together", appends_are_put_together);
  run_test("names too long are refused", names_too_long_are_refused);
  start_pool();
  struct task *t = new_task();
  add(t, STEP_REMOVE_TREE, 0, address(folder), 0, 0, 0);
  run(t);
  stop_pool();
  return finish_tests();
}
