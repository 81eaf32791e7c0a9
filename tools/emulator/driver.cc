// A CUDA driver on host memory, strict where a GPU would be silently wrong. Built as libcuda.so.1 for tests only.
//
// Streams are queues that run only when someone waits for them or asks (synchronise, event wait, query): code that
// forgets to wait reads what lay in its buffer before. Device addresses are outside of what a process can map: host
// code that follows one dies. Every misuse is kept as text and comes out with the report (emu_report).
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))
typedef int Result;
typedef unsigned long long Pointer;
enum {
    OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101,
    INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600, ILLEGAL_ADDRESS = 700,
    CONTEXT_IS_DESTROYED = 709, LAUNCH_FAILED = 719, NOT_SUPPORTED = 801, CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901, CAPTURE_UNMATCHED = 903, CAPTURE_ISOLATION = 905, CAPTURE_WRONG_THREAD = 908,
    UNKNOWN = 999
};
typedef void (*Work)(void *);

namespace {
const Pointer DEVICE_BASE = 0x900000000000ull;  // above every address that a process has
const Pointer GUARD = 1 << 20;                  // between allocations, so that no overrun lands in the next one

struct Context { bool alive = true; int uses = 0; };
struct Block { Pointer address; size_t size; char *host; bool freed; bool pinned; Context *owner; };
struct Stamp { struct Stream *stream = nullptr; uint64_t at = 0; };
enum Kind { COPY_IN, COPY_OUT, COPY_WITHIN, FILL, RECORD, WAIT, KERNEL };
struct Op {
    Kind kind; Pointer device = 0, source = 0; char *host = nullptr; size_t size = 0;
    std::shared_ptr<std::vector<char>> staged; Stamp wait; Work work = nullptr; void *argument = nullptr;
    std::vector<Pointer> touched; int value = 0; std::shared_ptr<double> passed_ms;
};
struct Graph { std::vector<Op> ops; };
struct Executable { std::vector<Op> ops; Context *owner; };
struct Stream {
    Context *owner; bool blocking; std::deque<Op> queue; uint64_t queued = 0, done = 0; bool running = false;
    Graph *capture = nullptr; bool broken = false; int mode = 0; std::thread::id captor; bool legacy = false;
};
struct Event { Context *owner; Stamp stamp; std::shared_ptr<double> passed_ms = std::make_shared<double>(-1.0); };

std::mutex gate;
std::condition_variable moved;
bool initialised = false;
std::map<Pointer, Block> blocks;   // by device address; pinned blocks that are mapped have one too
std::map<char *, size_t> pinned;   // host address -> size
std::map<char *, Pointer> mapped;  // host address -> device address
std::set<Stream *> streams; std::set<Event *> events; std::set<Graph *> graphs; std::set<Executable *> executables;
Context *primary = nullptr; int primary_uses = 0;
Stream *legacy = nullptr;
Pointer next_address = DEVICE_BASE;
std::vector<std::string> faults;
Result sticky = OK;
long calls = 0, allocations = 0, kernels = 0, graph_launches = 0, releases = 0, copies = 0;
long fail_allocation = -1, fail_kernel = -1, lose_at = -1, slow_queries = 0, queries_held = 0, slow_upload_us = 0;
int integrated = 0, major_ = 8, minor_ = 7, idle_copies = 0;

void fault(const char *format, ...) {
    char text[512]; va_list list; va_start(list, format); vsnprintf(text, sizeof text, format, list); va_end(list);
    if (faults.size() < 100) faults.push_back(text);
}

struct Stack {
    std::vector<Context *> contexts;
    ~Stack();
};
thread_local Stack stack;
Stack::~Stack() {
    if (!contexts.empty()) { std::lock_guard<std::mutex> lock(gate); fault("context not popped: a thread ended with %zu on its stack", contexts.size()); }
}

long setting(const char *name, long otherwise) { const char *text = getenv(name); return text ? atol(text) : otherwise; }

Result enter(bool needs_context) {  // with the gate held
    calls++;
    if (lose_at >= 0 && calls > lose_at) sticky = UNKNOWN;
    if (!initialised) return NOT_INITIALIZED;
    if (needs_context) {
        if (stack.contexts.empty()) { fault("no current context on this thread"); return INVALID_CONTEXT; }
        if (!stack.contexts.back()->alive) { fault("the current context is destroyed"); return CONTEXT_IS_DESTROYED; }
    }
    return sticky;
}

Stream *stream_of(void *handle) {
    if (handle == nullptr || handle == (void *)1 || handle == (void *)2) {
        if (!legacy) { legacy = new Stream{primary, true}; legacy->legacy = true; }
        return legacy;
    }
    auto found = streams.find((Stream *)handle);
    return found == streams.end() ? nullptr : *found;
}

Stream *captured_here() {
    for (Stream *stream : streams)
        if (stream->capture && stream->captor == std::this_thread::get_id() && stream->mode != 2) return stream;
    return nullptr;
}

// What may not be called while this thread captures; it spoils the capture.
bool spoils_capture(const char *call) {
    Stream *stream = captured_here();
    if (!stream || sticky) return false;  // where the device is lost, no capture is left to spoil
    stream->broken = true;
    fault("%s while a stream is captured", call);
    return true;
}

Block *block_at(Pointer address) {
    auto found = blocks.upper_bound(address);
    if (found == blocks.begin()) return nullptr;
    Block &block = (--found)->second;
    return address < block.address + block.size + GUARD ? &block : nullptr;
}

char *resolve(Pointer address, size_t size, const char *who) {
    Block *block = block_at(address);
    if (!block) { fault("%s: %#llx is no device address", who, address); return nullptr; }
    if (block->freed) { fault("%s: use after free of %#llx", who, address); return nullptr; }
    if (address + size > block->address + block->size) {
        fault("%s: out of bounds, %zu bytes at %#llx of a block with %zu", who, size, address, block->size); return nullptr;
    }
    return block->host + (address - block->address);
}

Result run_until(Stream *stream, uint64_t goal, std::unique_lock<std::mutex> &lock);

double now_ms() {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Result perform(Op &op, std::unique_lock<std::mutex> &lock) {
    char *to, *from;
    switch (op.kind) {
    case COPY_IN:
        to = resolve(op.device, op.size, "copy to the device");
        if (!to) return sticky = ILLEGAL_ADDRESS;
        if (slow_upload_us) std::this_thread::sleep_for(std::chrono::microseconds(slow_upload_us));
        if (!idle_copies) memcpy(to, op.staged ? op.staged->data() : op.host, op.size);
        copies++; return OK;
    case COPY_OUT:
        from = resolve(op.device, op.size, "copy from the device");
        if (!from) return sticky = ILLEGAL_ADDRESS;
        if (!idle_copies) memcpy(op.host, from, op.size);
        copies++; return OK;
    case COPY_WITHIN:
        to = resolve(op.device, op.size, "copy within the device"); from = resolve(op.source, op.size, "copy within the device");
        if (!to || !from) return sticky = ILLEGAL_ADDRESS;
        memmove(to, from, op.size); copies++; return OK;
    case FILL:
        to = resolve(op.device, op.size, "fill");
        if (!to) return sticky = ILLEGAL_ADDRESS;
        memset(to, op.value, op.size); return OK;
    case RECORD: if (op.passed_ms) *op.passed_ms = now_ms(); return OK;
    case WAIT: return op.wait.stream && streams.count(op.wait.stream) ? run_until(op.wait.stream, op.wait.at, lock) : OK;
    case KERNEL:
        for (Pointer address : op.touched) if (!resolve(address, 1, "kernel")) return sticky = ILLEGAL_ADDRESS;
        kernels++;
        if (fail_kernel >= 0 && fail_kernel-- == 0) return sticky = LAUNCH_FAILED;
        lock.unlock(); op.work(op.argument); lock.lock();  // Python may run in there, and its lock is not ours to wait for
        return sticky;
    }
    return INVALID_VALUE;
}

// Waits for another thread to get on. That thread's work may be Python, and pycuda frees memory with Python's lock held:
// the lock is given up meanwhile, or neither would get on. A GPU's work needs no lock of the host.
void await_another(std::unique_lock<std::mutex> &lock) {
    static auto *holds = (int (*)())dlsym(RTLD_DEFAULT, "PyGILState_Check");
    static auto *give_up = (void *(*)())dlsym(RTLD_DEFAULT, "PyEval_SaveThread");
    static auto *take_back = (void (*)(void *))dlsym(RTLD_DEFAULT, "PyEval_RestoreThread");
    void *thread = holds && holds() ? give_up() : nullptr;
    moved.wait(lock);
    if (thread) { lock.unlock(); take_back(thread); lock.lock(); }  // never both at once, in no order
}

Result run_until(Stream *stream, uint64_t goal, std::unique_lock<std::mutex> &lock) {
    while (stream->done < goal) {
        if (stream->running) { await_another(lock); continue; }
        if (stream->queue.empty()) return sticky;
        stream->running = true;
        Op op = std::move(stream->queue.front()); stream->queue.pop_front();
        Result result = sticky ? sticky : perform(op, lock);
        stream->running = false; stream->done++; moved.notify_all();
        if (result != OK) { stream->done = stream->queued; stream->queue.clear(); return result; }
    }
    return sticky;
}

Result add(Stream *stream, Op op) {
    if (stream->capture) { stream->capture->ops.push_back(std::move(op)); return OK; }
    stream->queue.push_back(std::move(op)); stream->queued++;
    return OK;
}

// The legacy stream waits for every blocking stream.
Result drain(std::unique_lock<std::mutex> &lock) {
    for (Stream *stream : std::set<Stream *>(streams)) if (stream->blocking) run_until(stream, stream->queued, lock);
    return legacy ? run_until(legacy, legacy->queued, lock) : sticky;
}

bool is_pinned(const void *host, size_t size) {
    auto found = pinned.upper_bound((char *)host);
    if (found == pinned.begin()) return false;
    --found;
    return (char *)host + size <= found->first + found->second;
}

Result new_block(Pointer *address, size_t size, char *host, bool is_host) {
    char *memory = host ? host : (char *)malloc(size ? size : 1);
    if (!host) memset(memory, 0xCD, size);
    *address = next_address;
    next_address += ((size + 255) / 256) * 256 + 2 * GUARD;
    blocks[*address] = Block{*address, size, memory, false, is_host, stack.contexts.back()};
    return OK;
}

bool refuse_allocation() { allocations++; return fail_allocation == 0 || (fail_allocation > 0 && fail_allocation-- == 0); }  // and all after it: pycuda tries again

void check_graphs(const Block &block) {
    for (Executable *executable : executables) for (Op &op : executable->ops) {
        auto in = [&](Pointer at) { return at >= block.address && at < block.address + block.size; };
        bool holds = in(op.device) || in(op.source);
        for (Pointer at : op.touched) holds = holds || in(at);
        if (holds) { fault("freed while a graph holds it: %#llx", block.address); return; }
    }
}
}  // namespace


struct Settings {  // read once, before any call
    Settings() {
        fail_allocation = setting("SSD_EDGE_EMU_FAIL_ALLOCATION", -1); fail_kernel = setting("SSD_EDGE_EMU_FAIL_KERNEL", -1);
        lose_at = setting("SSD_EDGE_EMU_LOSE_AT", -1); slow_queries = setting("SSD_EDGE_EMU_SLOW_QUERIES", 0); slow_upload_us = setting("SSD_EDGE_EMU_SLOW_UPLOAD_US", 0);
        integrated = (int)setting("SSD_EDGE_EMU_INTEGRATED", 0); idle_copies = (int)setting("SSD_EDGE_EMU_IDLE_COPIES", 0);
        major_ = (int)setting("SSD_EDGE_EMU_SM", 87) / 10; minor_ = (int)setting("SSD_EDGE_EMU_SM", 87) % 10;
    }
} settings;

#define ENTER(context) std::unique_lock<std::mutex> lock(gate); { Result state = enter(context); if (state != OK) return state; }
// Giving back is counted also where the device is lost, or nobody could tell a leak from a loss.
#define RELEASE() std::unique_lock<std::mutex> lock(gate); Result state = enter(true); \
    if (state == INVALID_CONTEXT || state == NOT_INITIALIZED || state == CONTEXT_IS_DESTROYED) return state; releases++
#define STREAM(name, handle) Stream *name = stream_of(handle); if (!name) { fault("%s: no such stream", __func__); return INVALID_HANDLE; } \
    if (!name->legacy && name->owner != stack.contexts.back()) { fault("%s: stream of another context", __func__); return INVALID_HANDLE; }

API Result cuInit(unsigned) {
    std::lock_guard<std::mutex> lock(gate);
    initialised = true;
    return OK;
}
API Result cuDriverGetVersion(int *version) { *version = 13000; return OK; }
API Result cuDeviceGetCount(int *count) { ENTER(false); *count = 1; return OK; }
API Result cuDeviceGet(int *device, int number) { ENTER(false); *device = 0; return number == 0 ? OK : INVALID_DEVICE; }
API Result cuDeviceGetName(char *name, int size, int) { ENTER(false); snprintf(name, size, "Emulated"); return OK; }
API Result cuDeviceTotalMem_v2(size_t *bytes, int) { ENTER(false); *bytes = 1ull << 33; return OK; }
API Result cuDeviceComputeCapability(int *major, int *minor, int) { ENTER(false); *major = major_; *minor = minor_; return OK; }
API Result cuDeviceGetAttribute(int *value, int attribute, int) {
    ENTER(false);
    switch (attribute) {
    case 18: *value = integrated; break;
    case 19: *value = 1; break;  // can map host memory
    case 41: *value = 1; break;  // unified addressing
    case 75: *value = major_; break;
    case 76: *value = minor_; break;
    default: *value = 0;
    }
    return OK;
}
API Result cuMemGetInfo_v2(size_t *free_, size_t *total) {
    ENTER(true); *total = 1ull << 33; *free_ = *total;
    for (auto &entry : blocks) if (!entry.second.freed && (integrated || !entry.second.pinned)) *free_ -= entry.second.size;
    return OK;
}

API Result cuDevicePrimaryCtxRetain(Context **context, int) {
    ENTER(false);
    if (!primary || !primary->alive) primary = new Context;
    primary_uses++; *context = primary; return OK;
}
API Result cuDevicePrimaryCtxRelease_v2(int) {
    std::unique_lock<std::mutex> lock(gate); enter(false);
    if (primary_uses == 0) { fault("primary context released more often than retained"); return INVALID_CONTEXT; }
    if (--primary_uses) return OK;
    primary->alive = false;
    for (auto &entry : blocks) if (!entry.second.freed && entry.second.owner == primary)
        fault("leak: %zu bytes at %#llx at the end of their context", entry.second.size, entry.first);
    return sticky;
}
API Result cuDevicePrimaryCtxRelease(int device) { return cuDevicePrimaryCtxRelease_v2(device); }
API Result cuDevicePrimaryCtxGetState(int, unsigned *flags, int *active) { ENTER(false); *flags = 0; *active = primary_uses > 0; return OK; }
API Result cuCtxPushCurrent_v2(Context *context) { std::unique_lock<std::mutex> lock(gate); calls++; stack.contexts.push_back(context); return OK; }
API Result cuCtxPopCurrent_v2(Context **context) {
    std::unique_lock<std::mutex> lock(gate); calls++;
    if (stack.contexts.empty()) { fault("pop from an empty stack of contexts"); return INVALID_CONTEXT; }
    if (context) *context = stack.contexts.back();
    stack.contexts.pop_back(); return OK;
}
API Result cuCtxGetCurrent(Context **context) { *context = stack.contexts.empty() ? nullptr : stack.contexts.back(); return OK; }
API Result cuCtxSetCurrent(Context *context) {
    if (!stack.contexts.empty()) stack.contexts.pop_back();
    if (context) stack.contexts.push_back(context);
    return OK;
}
API Result cuCtxGetDevice(int *device) { ENTER(true); *device = 0; return OK; }
API Result cuCtxSynchronize() {
    ENTER(true); if (spoils_capture("cuCtxSynchronize")) return CAPTURE_UNSUPPORTED;
    for (Stream *stream : std::set<Stream *>(streams)) run_until(stream, stream->queued, lock);
    return drain(lock);
}

API Result cuMemAlloc_v2(Pointer *address, size_t size) {
    ENTER(true); if (spoils_capture("cuMemAlloc")) return CAPTURE_UNSUPPORTED;
    if (size == 0) return INVALID_VALUE;
    if (refuse_allocation()) return OUT_OF_MEMORY;
    return new_block(address, size, nullptr, false);
}
API Result cuMemFree_v2(Pointer address) {
    RELEASE(); if (spoils_capture("cuMemFree")) return CAPTURE_UNSUPPORTED;
    auto found = blocks.find(address);
    if (found == blocks.end() || found->second.pinned) { fault("free of %#llx, which is no allocation", address); return INVALID_VALUE; }
    Block &block = found->second;
    if (block.freed) { fault("double free of %#llx", address); return INVALID_VALUE; }
    check_graphs(block);
    drain(lock);  // as on a GPU, freeing waits for the work before it
    block.freed = true; free(block.host); block.host = nullptr; return state;
}
API Result cuMemHostAlloc(void **host, size_t size, unsigned flags) {
    ENTER(true); if (spoils_capture("cuMemHostAlloc")) return CAPTURE_UNSUPPORTED;
    if (refuse_allocation()) return OUT_OF_MEMORY;
    *host = calloc(1, size ? size : 1); pinned[(char *)*host] = size;
    if (flags & 2) { Pointer address; new_block(&address, size, (char *)*host, true); mapped[(char *)*host] = address; }
    return OK;
}
API Result cuMemAllocHost_v2(void **host, size_t size) { return cuMemHostAlloc(host, size, 0); }
API Result cuMemFreeHost(void *host) {
    RELEASE(); if (spoils_capture("cuMemFreeHost")) return CAPTURE_UNSUPPORTED;
    auto found = pinned.find((char *)host);
    if (found == pinned.end()) { fault("free of host memory that is not pinned, or freed already"); return INVALID_VALUE; }
    for (Stream *stream : std::set<Stream *>(streams)) run_until(stream, stream->queued, lock);
    auto view = mapped.find((char *)host);
    if (view != mapped.end()) { check_graphs(blocks[view->second]); blocks[view->second].freed = true; mapped.erase(view); }
    pinned.erase(found); free(host); return state;
}
API Result cuMemHostGetDevicePointer_v2(Pointer *address, void *host, unsigned) {
    ENTER(true); auto found = mapped.find((char *)host);
    if (found == mapped.end()) { fault("device pointer of host memory that is not mapped"); return INVALID_VALUE; }
    *address = found->second; return OK;
}
API Result cuMemHostGetFlags(unsigned *flags, void *host) { ENTER(true); *flags = mapped.count((char *)host) ? 2 : 0; return OK; }

API Result cuMemcpyHtoDAsync_v2(Pointer to, const void *from, size_t size, void *handle) {
    ENTER(true); STREAM(stream, handle); Op op{COPY_IN}; op.device = to; op.host = (char *)from; op.size = size;
    if (!is_pinned(from, size)) op.staged = std::make_shared<std::vector<char>>((char *)from, (char *)from + size);
    return add(stream, op);
}
API Result cuMemcpyDtoHAsync_v2(void *to, Pointer from, size_t size, void *handle) {
    ENTER(true); STREAM(stream, handle); Op op{COPY_OUT}; op.device = from; op.host = (char *)to; op.size = size;
    Result result = add(stream, op);
    return result || is_pinned(to, size) || stream->capture ? result : run_until(stream, stream->queued, lock);
}
API Result cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t size, void *handle) {
    ENTER(true); STREAM(stream, handle); Op op{COPY_WITHIN}; op.device = to; op.source = from; op.size = size; return add(stream, op);
}
API Result cuMemsetD8Async(Pointer to, unsigned char value, size_t size, void *handle) {
    ENTER(true); STREAM(stream, handle); Op op{FILL}; op.device = to; op.size = size; op.value = value; return add(stream, op);
}
API Result cuMemsetD8_v2(Pointer to, unsigned char value, size_t size) {
    ENTER(true); if (spoils_capture("cuMemsetD8")) return CAPTURE_UNSUPPORTED;
    drain(lock); Op op{FILL}; op.device = to; op.size = size; op.value = value; return perform(op, lock);
}
API Result cuMemcpyHtoD_v2(Pointer to, const void *from, size_t size) {
    ENTER(true); if (spoils_capture("cuMemcpyHtoD")) return CAPTURE_UNSUPPORTED;
    drain(lock); Op op{COPY_IN}; op.device = to; op.host = (char *)from; op.size = size; return perform(op, lock);
}
API Result cuMemcpyDtoH_v2(void *to, Pointer from, size_t size) {
    ENTER(true); if (spoils_capture("cuMemcpyDtoH")) return CAPTURE_UNSUPPORTED;
    drain(lock); Op op{COPY_OUT}; op.device = from; op.host = (char *)to; op.size = size; return perform(op, lock);
}
API Result cuMemcpyDtoD_v2(Pointer to, Pointer from, size_t size) {
    ENTER(true); drain(lock); Op op{COPY_WITHIN}; op.device = to; op.source = from; op.size = size; return perform(op, lock);
}

API Result cuStreamCreate(Stream **stream, unsigned flags) {
    ENTER(true); *stream = new Stream{stack.contexts.back(), !(flags & 1)}; streams.insert(*stream); return OK;
}
API Result cuStreamCreateWithPriority(Stream **stream, unsigned flags, int) { return cuStreamCreate(stream, flags); }
API Result cuStreamDestroy_v2(Stream *stream) {
    RELEASE();
    if (!streams.count(stream)) { fault("stream destroyed twice"); return INVALID_HANDLE; }
    run_until(stream, stream->queued, lock); streams.erase(stream);  // never deleted: a late use is to be named
    return state;
}
API Result cuStreamSynchronize(void *handle) {
    ENTER(true); STREAM(stream, handle);
    if (stream->capture) { stream->broken = true; fault("synchronise of a stream that is captured"); return CAPTURE_UNSUPPORTED; }
    return run_until(stream, stream->queued, lock);
}
API Result cuStreamQuery(void *handle) {
    ENTER(true); STREAM(stream, handle);
    if (stream->capture) { stream->broken = true; fault("query of a stream that is captured"); return CAPTURE_UNSUPPORTED; }
    if (stream->done >= stream->queued) return OK;
    if (stream->running || queries_held++ < slow_queries) return NOT_READY;
    queries_held = 0;
    return run_until(stream, stream->queued, lock);
}
API Result cuStreamWaitEvent(void *handle, Event *event, unsigned) {
    ENTER(true); STREAM(stream, handle);
    if (!events.count(event)) { fault("wait for an event that is destroyed"); return INVALID_HANDLE; }
    if (stream->capture) { stream->broken = true; fault("wait for work outside of the capture"); return CAPTURE_ISOLATION; }
    Op op{WAIT}; op.wait = event->stamp; return add(stream, op);
}

API Result cuEventCreate(Event **event, unsigned) { ENTER(true); *event = new Event{stack.contexts.back()}; events.insert(*event); return OK; }
API Result cuEventDestroy_v2(Event *event) {
    RELEASE(); if (!events.erase(event)) { fault("event destroyed twice"); return INVALID_HANDLE; }
    return state;
}
API Result cuEventRecord(Event *event, void *handle) {
    ENTER(true); STREAM(stream, handle);
    if (!events.count(event)) { fault("record of an event that is destroyed"); return INVALID_HANDLE; }
    Op op{RECORD}; *event->passed_ms = -1.0; op.passed_ms = event->passed_ms;
    Result result = add(stream, op);
    if (!stream->capture) event->stamp = Stamp{stream, stream->queued};
    return result;
}
API Result cuEventQuery(Event *event) {
    ENTER(true); if (!events.count(event)) { fault("query of an event that is destroyed"); return INVALID_HANDLE; }
    Stream *stream = event->stamp.stream;
    if (!stream || stream->done >= event->stamp.at) return OK;
    if (stream->running || queries_held++ < slow_queries) return NOT_READY;
    queries_held = 0;
    return run_until(stream, event->stamp.at, lock);
}
API Result cuEventSynchronize(Event *event) {
    ENTER(true); if (!events.count(event)) { fault("wait for an event that is destroyed"); return INVALID_HANDLE; }
    return event->stamp.stream ? run_until(event->stamp.stream, event->stamp.at, lock) : OK;
}
API Result cuEventElapsedTime(float *ms, Event *from, Event *to) {
    ENTER(true); if (!events.count(from) || !events.count(to)) { fault("time of an event that is destroyed"); return INVALID_HANDLE; }
    if (*from->passed_ms < 0 || *to->passed_ms < 0) return NOT_READY;
    *ms = (float)(*to->passed_ms - *from->passed_ms); return OK;
}
API Result cuEventElapsedTime_v2(float *ms, Event *a, Event *b) { return cuEventElapsedTime(ms, a, b); }

API Result cuStreamBeginCapture_v2(void *handle, int mode) {
    ENTER(true); STREAM(stream, handle);
    if (stream->legacy || stream->capture) return CAPTURE_UNSUPPORTED;
    stream->capture = new Graph; stream->broken = false; stream->mode = mode; stream->captor = std::this_thread::get_id(); return OK;
}
API Result cuStreamEndCapture(void *handle, Graph **graph) {
    ENTER(true); STREAM(stream, handle); *graph = nullptr;
    if (!stream->capture) return CAPTURE_UNMATCHED;
    if (stream->captor != std::this_thread::get_id()) return CAPTURE_WRONG_THREAD;
    Graph *captured = stream->capture; stream->capture = nullptr;
    if (stream->broken) { delete captured; return CAPTURE_INVALIDATED; }
    graphs.insert(*graph = captured); return OK;
}
API Result cuStreamIsCapturing(void *handle, int *status) { ENTER(true); STREAM(stream, handle); *status = stream->capture ? 1 : 0; return OK; }
API Result cuGraphInstantiateWithFlags(Executable **executable, Graph *graph, unsigned long long) {
    ENTER(true); if (!graphs.count(graph)) { fault("instantiate of a graph that is destroyed"); return INVALID_HANDLE; }
    if (refuse_allocation()) return OUT_OF_MEMORY;
    *executable = new Executable{graph->ops, stack.contexts.back()}; executables.insert(*executable); return OK;
}
API Result cuGraphDestroy(Graph *graph) { RELEASE(); if (!graphs.erase(graph)) return INVALID_HANDLE; delete graph; return state; }
API Result cuGraphExecDestroy(Executable *executable) {
    RELEASE(); if (!executables.erase(executable)) { fault("graph destroyed twice"); return INVALID_HANDLE; }
    delete executable; return state;
}
API Result cuGraphLaunch(Executable *executable, void *handle) {
    ENTER(true); STREAM(stream, handle);
    if (!executables.count(executable)) { fault("launch of a graph that is destroyed"); return INVALID_HANDLE; }
    graph_launches++;
    for (Op &op : executable->ops) add(stream, op);
    return OK;
}

#include "errors.inc"
API Result cuGetErrorName(Result code, const char **text) {
    auto found = ERRORS.find(code); *text = found == ERRORS.end() ? nullptr : found->second.first; return *text ? OK : INVALID_VALUE;
}
API Result cuGetErrorString(Result code, const char **text) {
    auto found = ERRORS.find(code); *text = found == ERRORS.end() ? nullptr : found->second.second; return *text ? OK : INVALID_VALUE;
}

// What the stand-in of TensorRT and the tests call.
API Result emu_enqueue(void *handle, Work work, void *argument, const Pointer *touched, int count) {
    ENTER(true); STREAM(stream, handle);
    Op op{KERNEL}; op.work = work; op.argument = argument; op.touched.assign(touched, touched + count); return add(stream, op);
}
API void *emu_resolve(Pointer address, size_t size) { std::lock_guard<std::mutex> lock(gate); return resolve(address, size, "inference"); }
API size_t emu_room(Pointer address) {  // bytes from here to the end of the block; 0 where there is none
    std::lock_guard<std::mutex> lock(gate); Block *block = block_at(address);
    return block && !block->freed && address < block->address + block->size ? block->address + block->size - address : 0;
}
API void emu_nothing(void *) {}
API void *emu_current() { return stack.contexts.empty() || !stack.contexts.back()->alive ? nullptr : stack.contexts.back(); }
API void emu_fault(const char *text) { std::lock_guard<std::mutex> lock(gate); fault("%s", text); }
API void emu_inject(const char *what, long value) {
    std::lock_guard<std::mutex> lock(gate); std::string name(what);
    if (name == "allocation") fail_allocation = value;
    if (name == "kernel") fail_kernel = value;
    if (name == "lose") lose_at = value < 0 ? -1 : calls + value;
    if (name == "slow_queries") slow_queries = value;
    if (name == "slow_upload_us") slow_upload_us = value;
    if (name == "heal") { sticky = OK; fail_allocation = fail_kernel = lose_at = -1; faults.clear(); }
}
API int emu_report(char *text, int size) {  // JSON
    std::lock_guard<std::mutex> lock(gate); std::string list; long live = 0;
    for (auto &entry : blocks) if (!entry.second.freed && !entry.second.pinned) live++;
    for (auto &entry : faults) { list += list.empty() ? "\"" : ", \""; list += entry; list += "\""; }
    return snprintf(text, size,
        "{\"device_blocks\": %ld, \"pinned_blocks\": %zu, \"streams\": %zu, \"events\": %zu, \"graphs\": %zu, \"executables\": %zu, "
        "\"primary_uses\": %d, \"contexts_here\": %zu, \"allocations\": %ld, \"kernels\": %ld, \"graph_launches\": %ld, "
        "\"copies\": %ld, \"calls\": %ld, \"releases\": %ld, \"faults\": [%s]}",
        live, pinned.size(), streams.size(), events.size(), graphs.size(), executables.size(), primary_uses,
        stack.contexts.size(), allocations, kernels, graph_launches, copies, calls, releases, list.c_str());
}
namespace {
struct AtExit {  // for a process that the test cannot ask, such as the command line
    ~AtExit() {
        const char *path = getenv("SSD_EDGE_EMU_REPORT");
        if (!path || !initialised) return;
        static char text[65536]; emu_report(text, sizeof text);
        if (FILE *file = fopen(path, "w")) { fputs(text, file); fclose(file); }
    }
} at_exit;
}
#include "stubs.inc"

// How cuda-python finds the calls: by their plain name, of which the newest form is meant.
API Result cuGetProcAddress_v2(const char *symbol, void **address, int, uint64_t, int *status) {
    static void *self = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_NOLOAD);
    *address = nullptr;
    for (const char *suffix : {"_v4", "_v3", "_v2", ""})
        if (void *found = dlsym(self, (std::string(symbol) + suffix).c_str())) { *address = found; break; }
    if (status) *status = *address ? 0 : 1;  // CU_GET_PROC_ADDRESS_SUCCESS, ..._SYMBOL_NOT_FOUND
    return *address ? OK : NOT_FOUND;
}
