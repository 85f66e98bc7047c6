//! Limits the free memory that the allocator keeps instead of returning it to the system.

/// Blocks of this size and above, in bytes, get a mapping of their own, which is returned to the system when they are
/// freed. Batches and read buffers are such blocks.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_FROM: i32 = 128 << 10;
/// Arenas that all threads share. Threads come and go with runs, and each would leave its free memory in another arena.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: i32 = 2;

/// Configures glibc for a long-lived process; to be called before any thread starts. By default glibc raises the
/// mapping threshold with each large block that is freed, up to 32 MB, keeps such blocks from then on, and has eight
/// arenas per core, so a worker takes more and more memory for the same work (measured). Other allocators are left
/// unchanged.
pub fn limit_retained_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (parameter, value) in [(libc::M_MMAP_THRESHOLD, MAPPED_FROM), (libc::M_ARENA_MAX, ARENAS)] {
        // SAFETY: takes two numbers and touches only the allocator's own settings; a refusal changes nothing.
        #[expect(unsafe_code, reason = "there is no safe interface to the allocator's settings")]
        let _: i32 = unsafe { libc::mallopt(parameter, value) };
    }
}
