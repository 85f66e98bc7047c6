//! How memory goes back to the system once it is free.

/// Blocks from this size, in bytes, are mappings of their own. Batches and read buffers are: freed, they are gone.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_FROM: i32 = 128 << 10;
/// Arenas that threads share. Threads come and go with runs, and each would leave its free memory in another arena.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: i32 = 2;

/// For a process that stays: glibc raises the first limit with each large block that is freed, up to 32 MB, keeps such
/// blocks from then on, and has eight arenas per core, so that a worker takes more and more for the same work (measured).
/// Before any thread is started. Other allocators are left as they are.
pub fn keep_little() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (parameter, value) in [(libc::M_MMAP_THRESHOLD, MAPPED_FROM), (libc::M_ARENA_MAX, ARENAS)] {
        // SAFETY: takes two numbers and touches only the allocator's own settings; a refusal changes nothing.
        #[expect(unsafe_code, reason = "there is no safe interface to the allocator's settings")]
        let _: i32 = unsafe { libc::mallopt(parameter, value) };
    }
}
