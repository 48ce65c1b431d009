//! Returns unused memory to the system.
//!
//! Allocators keep what was freed, so that one measurement would be charged with what the one before held.

/// Gives back what it can; does nothing where the C library has no function for that.
pub fn release_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it may be called at any time by any thread, and takes a plain number. Whether it helped does not matter.
    unsafe {
        malloc_trim(0);
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
unsafe extern "C" {
    fn malloc_trim(pad: usize) -> std::ffi::c_int;
}
