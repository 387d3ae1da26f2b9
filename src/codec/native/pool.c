/* The thread pool that keeps coding, hashing and blocking system calls off the JavaScript thread.

   Workers take tasks (pool.h) from one queue, at first as many at once as there are processors to compute on. A monitor lets more of them
   do so (up to threads_max) when those that are at it sleep in system calls while tasks wait, or when none ends: many drives want many
   calls at once, and one that hangs must not freeze the others. Tasks that sync wait for a drive and do little else: they are in a queue of
   their own, and as many run as there are. Digest tasks have one too, from which one worker at a time takes up to 32, so that MD5 of concurrent
   streams runs in SIMD lanes. Finished tasks collect in a list; the first one in an empty list wakes JavaScript, which drains many at once. */
#define _GNU_SOURCE
#include "pool.h"
#include "codec.h"
#include "pool-batches.h"
#include "pool-list.h"
#include "pool-steps.h"
#include "pool-waits.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DIGEST_TASKS 32
#define DIGEST_JOBS_MAX (DIGEST_TASKS * SHERD_SHARDS_MAX)
#define MONITOR_MS 20
#define IDLE_EXIT_S 20
#define LANES 256
#define LANE_TASKS 32 /* enough to keep a disk busy */
#define LANE_SYNCS 16

/* Tasks of one drive. So many are in the pool's lists or with workers, the others wait here: a drive that hangs keeps no more workers. */
struct lane {
    struct list held;
    uint32_t admitted;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work, ended;
    struct list ready, syncs, digests, done;
    uint32_t threads, threads_base, threads_max, starting, idle, digest_runners, digest_runners_max;
    uint32_t syncing, runners, runners_max; /* workers at syncs, and at other tasks */
    pid_t runner[WORKERS_MAX];     /* their threads, in no order */
    uint64_t completed, submitted, progress; /* progress: without syncs */
    bool stopping, started, monitored;
    void (*wake)(void);
    struct batch *batches;
    struct lane lane[LANES], sync_lane[LANES]; /* by drive; 0 = of none, without bound */
    uint32_t held;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

static void enqueue(struct task *t) { list_push(t->flags & TASK_SYNCS ? &pool.syncs : &pool.ready, t); } /* lock held */

static struct lane *lane_of(const struct task *t) { return &(t->flags & TASK_SYNCS ? pool.sync_lane : pool.lane)[t->lane]; }

static void enter_lane(struct task *t) { /* lock held */
    struct lane *lane = lane_of(t);
    if (t->lane && lane->admitted == (t->flags & TASK_SYNCS ? LANE_SYNCS : LANE_TASKS)) {
        list_push(&lane->held, t);
        pool.held++;
    } else {
        lane->admitted++;
        enqueue(t);
    }
}

/* It has ended. The next one is for whoever is free, most often the worker that ended it. */
static void leave_lane(const struct task *t) { /* lock held */
    struct lane *lane = lane_of(t);
    struct task *next = list_pop(&lane->held);
    lane->admitted--;
    if (!next) return;
    pool.held--;
    lane->admitted++;
    enqueue(next);
}

static void finish(struct task **tasks, uint32_t count) { /* lock held on return: no */
    if (!count) return;
    pthread_mutex_lock(&pool.lock);
    bool first = pool.done.head == NULL;
    for (uint32_t i = 0; i < count; i++) leave_lane(tasks[i]), list_push(&pool.done, tasks[i]);
    pool.completed += count;
    void (*wake)(void) = first && !pool.stopping ? pool.wake : NULL;
    pthread_mutex_unlock(&pool.lock);
    if (wake) wake();
}

/* Is an earlier task of the same stream not yet through? */
static bool must_wait(struct task **tasks, uint32_t i, const uint64_t *done) {
    for (uint32_t j = 0; j < i; j++)
        if (tasks[j]->step[0].a[0] == tasks[i]->step[0].a[0] && done[j] < tasks[j]->step[0].a[2]) return true;
    return false;
}

/* A digest's bytes may lie in pieces a stride apart (data shards in their slots). The jobs go round the tasks piece by piece,
   so that a window of sherd_digest_many holds as many streams as there are; those of one stream stay in order. */
static uint32_t digest_jobs(struct task **tasks, uint32_t count, uint64_t *jobs) {
    uint64_t done[DIGEST_TASKS] = {0};
    uint32_t made = 0;
    for (bool more = true; more;) {
        more = false;
        for (uint32_t i = 0; i < count && made < DIGEST_JOBS_MAX; i++) {
            const uint64_t *a = tasks[i]->step[0].a, size = a[3] ? a[3] : a[2];
            if (done[i] >= a[2] || must_wait(tasks, i, done)) continue;
            jobs[made * 3] = a[0];
            jobs[made * 3 + 1] = a[1] + done[i] / size * a[4];
            jobs[made * 3 + 2] = a[2] - done[i] < size ? a[2] - done[i] : size;
            done[i] += size;
            made++;
            more = true;
        }
    }
    return made;
}

static void run_digests(struct task **tasks, uint32_t count) {
    uint64_t jobs[DIGEST_JOBS_MAX * 3];
    for (uint32_t i = 0; i < count; i++) {
        tasks[i]->error = 0;
        tasks[i]->failed_step = -1;
    }
    sherd_digest_many(jobs, digest_jobs(tasks, count, jobs));
}

/* What waits behind a stuck task goes back, what ended before it is done. Says if JavaScript is to be woken. */
static bool rescue_batches(void) { /* lock held */
    const bool was_empty = pool.done.head == NULL;
    for (struct batch *batch = pool.batches; batch; batch = batch->next) {
        struct taken taken;
        batch_take_over(batch, &taken);
        for (uint32_t i = 0; i < taken.waiting_count; i++) list_push(&pool.ready, taken.waiting[i]), pthread_cond_signal(&pool.work);
        for (uint32_t i = 0; i < taken.ended_count; i++) leave_lane(taken.ended[i]), list_push(&pool.done, taken.ended[i]), pthread_cond_signal(&pool.work);
        pool.completed += taken.ended_count;
    }
    return was_empty && pool.done.head;
}

static void begin_running(pid_t thread) { pool.runner[pool.runners++] = thread; } /* lock held */

static void end_running(pid_t thread) { /* lock held */
    uint32_t i = 0;
    while (pool.runner[i] != thread) i++;
    pool.runner[i] = pool.runner[--pool.runners];
    pool.progress++;
}

/* Syncs of many drives leave threads to the others. */
static uint32_t syncing_max(void) { return pool.threads_max > pool.threads_base ? pool.threads_max - pool.threads_base : 1; }

static void *worker(void *unused) {
    (void)unused;
    const pid_t thread = (pid_t)syscall(SYS_gettid);
    pthread_mutex_lock(&pool.lock);
    pool.starting--;
    struct batch together;
    while (!pool.stopping) {
        struct task *batch[DIGEST_TASKS];
        const bool may_run = pool.runners < pool.runners_max;
        if (pool.syncs.head && pool.syncing < syncing_max()) {
            batch[0] = list_pop(&pool.syncs);
            pool.syncing++;
            pthread_mutex_unlock(&pool.lock);
            run_task(batch[0]);
            finish(batch, 1);
            pthread_mutex_lock(&pool.lock);
            pool.syncing--;
        } else if (may_run && pool.digests.head && pool.digest_runners < pool.digest_runners_max) {
            uint32_t n = 0;
            while (n < DIGEST_TASKS && pool.digests.head) batch[n++] = list_pop(&pool.digests);
            pool.digest_runners++;
            begin_running(thread);
            pthread_mutex_unlock(&pool.lock);
            run_digests(batch, n);
            finish(batch, n);
            pthread_mutex_lock(&pool.lock);
            pool.digest_runners--;
            end_running(thread);
        } else if (may_run && pool.ready.head) {
            uint32_t n = 0;
            do batch[n++] = list_pop(&pool.ready); /* a few light ones together: fewer hand-overs */
            while (n < BATCH_MAX && pool.ready.head && (pool.ready.head->flags & TASK_LIGHT) && (batch[n - 1]->flags & TASK_LIGHT));
            bool shared = n > 1;
            if (shared) batch_join(&pool.batches, &together, batch, n);
            begin_running(thread);
            pthread_mutex_unlock(&pool.lock);
            if (shared) n = batch_run(&together, batch, run_task);
            else run_task(batch[0]);
            finish(batch, n);
            pthread_mutex_lock(&pool.lock);
            if (shared) batch_leave(&pool.batches, &together);
            end_running(thread);
        } else {
            struct timespec until;
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_sec += IDLE_EXIT_S;
            pool.idle++;
            int timeout = pthread_cond_timedwait(&pool.work, &pool.lock, &until);
            pool.idle--;
            if (timeout && pool.threads > pool.threads_base && !pool.ready.head && !pool.syncs.head && !pool.digests.head) break;
        }
    }
    pool.threads--;
    pthread_cond_broadcast(&pool.ended);
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

static bool start_worker(void) { /* lock held */
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 512 * 1024);
    bool good = pthread_create(&thread, &attributes, worker, NULL) == 0;
    pthread_attr_destroy(&attributes);
    if (good) pool.threads++, pool.starting++;
    return good;
}

/* Tasks that a worker might take now. */
static uint32_t takeable(void) { /* lock held */
    const uint32_t waiting = pool.ready.count + (pool.digests.head && pool.digest_runners < pool.digest_runners_max ? 1 : 0);
    const uint32_t room = pool.runners < pool.runners_max ? pool.runners_max - pool.runners : 0;
    const uint32_t syncs = pool.syncing < syncing_max() ? syncing_max() - pool.syncing : 0;
    return (pool.syncs.count < syncs ? pool.syncs.count : syncs) + (waiting < room ? waiting : room);
}

/* As many workers as could have something to do. */
static void start_workers(void) { /* lock held */
    if (pool.stopping) return;
    for (uint32_t wanted = takeable(), n = pool.idle + pool.starting; n < wanted && pool.threads < pool.threads_max; n++)
        if (!start_worker()) return;
}

/* Whether more workers should be at it, or fewer; `w`: of those that are, since the last look. One that slept all the time has another in its
   place; of the rest's time more than half has to be sleep. Where nothing is known, nothing may have ended: `is_stuck`. */
static void adapt(bool waiting, bool is_stuck, struct waits w) { /* lock held */
    const uint32_t rest = w.known - w.sleepers, least = pool.threads_base + w.sleepers;
    const bool sleep = w.known ? !rest || pool.runners_max < least || w.awake_ns * 2 < w.passed_ns * rest : is_stuck;
    const bool compute = rest && pool.runners_max > least && w.awake_ns * 10 >= w.passed_ns * rest * 9;
    if (waiting && pool.runners == pool.runners_max && sleep) {
        const uint32_t wanted = pool.runners_max < least ? least : pool.runners_max + 1;
        for (; pool.runners_max < wanted && pool.runners_max < pool.threads_max; pool.runners_max++) pthread_cond_signal(&pool.work);
    } else if (pool.runners_max == pool.threads_base) return;
    else if (waiting ? compute : pool.runners + pool.threads_base < pool.runners_max) pool.runners_max--;
}

/* Adds workers when tasks wait and those that are there sleep or end nothing; frees those that wait behind a stuck one. */
static void *monitor(void *unused) {
    (void)unused;
    uint64_t seen = 0;
    pid_t threads[WORKERS_MAX];
    pthread_mutex_lock(&pool.lock);
    while (!pool.stopping) {
        bool wake = rescue_batches();
        const bool waiting = pool.ready.head || (pool.digests.head && pool.digest_runners == 0);
        const uint32_t count = waiting ? pool.runners : 0;
        memcpy(threads, pool.runner, count * sizeof *threads);
        pthread_mutex_unlock(&pool.lock);
        const struct waits waits = waits_of(threads, count);
        pthread_mutex_lock(&pool.lock);
        adapt(waiting, pool.progress == seen, waits);
        start_workers();
        seen = pool.progress;
        bool busy = pool.idle < pool.threads;
        pthread_mutex_unlock(&pool.lock);
        if (wake) pool.wake();
        struct timespec nap = {0, (busy ? MONITOR_MS : 5 * MONITOR_MS) * 1000000L};
        nanosleep(&nap, NULL);
        pthread_mutex_lock(&pool.lock);
    }
    pool.monitored = false;
    pthread_cond_broadcast(&pool.ended);
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

SHERD_API int32_t sherd_pool_start(uint32_t threads, uint32_t threads_max, void (*wake)(void)) {
    pthread_mutex_lock(&pool.lock);
    if (pool.started) {
        pthread_mutex_unlock(&pool.lock);
        return -1;
    }
    pool.started = true;
    pool.stopping = false;
    pool.ready = pool.syncs = pool.digests = pool.done = (struct list){0};
    memset(pool.lane, 0, sizeof pool.lane);
    memset(pool.sync_lane, 0, sizeof pool.sync_lane);
    pool.held = 0;
    pool.submitted = pool.completed = 0;
    pool.threads_base = threads ? threads : 1;
    pool.threads_max = threads_max < pool.threads_base ? pool.threads_base : threads_max;
    if (pool.threads_base > WORKERS_MAX) pool.threads_base = WORKERS_MAX;
    if (pool.threads_max > WORKERS_MAX) pool.threads_max = WORKERS_MAX;
    pool.runners = pool.syncing = 0;
    pool.runners_max = pool.threads_base;
    pool.digest_runners_max = 1; /* a stream's digests must stay in order */
    pool.wake = wake;
    bool good = true;
    for (uint32_t i = 0; i < pool.threads_base; i++) good = start_worker() && good;
    pthread_t thread;
    pool.monitored = pthread_create(&thread, NULL, monitor, NULL) == 0;
    if (pool.monitored) pthread_detach(thread);
    good = pool.monitored && good;
    pthread_mutex_unlock(&pool.lock);
    return good ? 0 : -2;
}

SHERD_API void sherd_pool_submit(const uint64_t *tasks, uint32_t count) {
    uint32_t light = 0, heavy = 0;
    pthread_mutex_lock(&pool.lock);
    for (uint32_t i = 0; i < count; i++) {
        struct task *t = (struct task *)(uintptr_t)tasks[i];
        bool digest = t->steps == 1 && t->step[0].op == STEP_DIGEST;
        t->flags = (t->flags & ~TASK_SYNCS) | (!digest && task_syncs(t) ? TASK_SYNCS : 0);
        if (digest) list_push(&pool.digests, t), lane_of(t)->admitted++;
        else enter_lane(t);
        if (t->flags & TASK_LIGHT) light++;
        else heavy++;
    }
    pool.submitted += count;
    uint32_t wanted = heavy + (light + 3) / 4;
    if (wanted > pool.idle) wanted = pool.idle;
    start_workers(); /* those that are there may all wait for syncs */
    pthread_mutex_unlock(&pool.lock);
    for (uint32_t i = 0; i < wanted; i++) pthread_cond_signal(&pool.work); /* who is woken finds the lock free */
}

SHERD_API uint32_t sherd_pool_drain(uint64_t *ids, uint32_t max) {
    uint32_t n = 0;
    pthread_mutex_lock(&pool.lock);
    while (n < max && pool.done.head) ids[n++] = list_pop(&pool.done)->id;
    pthread_mutex_unlock(&pool.lock);
    return n;
}

SHERD_API void sherd_pool_stats(uint64_t *out) {
    pthread_mutex_lock(&pool.lock);
    out[0] = pool.threads;
    out[1] = pool.idle;
    out[2] = pool.ready.count + pool.syncs.count + pool.held;
    out[3] = pool.digests.count;
    out[4] = pool.submitted;
    out[5] = pool.completed;
    out[6] = pool.threads_max;
    out[7] = pool.done.count;
    pthread_mutex_unlock(&pool.lock);
}

/* Workers end after the task that they are in, and no wake-up comes any more; tasks that wait are never begun. */
SHERD_API uint32_t sherd_pool_stop(uint32_t wait_ms) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000L;
    if (until.tv_nsec >= 1000000000L) until.tv_sec++, until.tv_nsec -= 1000000000L;
    pthread_mutex_lock(&pool.lock);
    pool.stopping = true;
    pthread_cond_broadcast(&pool.work);
    bool late = false;
    while ((pool.threads || pool.monitored) && !late) late = pthread_cond_timedwait(&pool.ended, &pool.lock, &until) != 0;
    uint32_t left = pool.threads + pool.monitored;
    if (!left) pool.started = false;
    pthread_mutex_unlock(&pool.lock);
    return left;
}
