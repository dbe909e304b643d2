// The locks of this library, which a fork leaves free in the child.
//
// A fork copies the memory of a process and only the thread that called it. A std::mutex that
// another thread held stays locked in the child for ever, and what it guards may be half written.
// So every lock here is one of these, and mutex.cc alone knows about forks:
//
//   Mutex, SharedMutex   for sections that are short. A fork waits until no thread is inside one,
//                        so that the child finds them free and what they guard whole.
//   LongMutex            for what may take seconds, such as a training step. A fork does not wait:
//                        the child finds it free. Its holder changes what must be whole in the
//                        child inside a Mutex.
//
// A thread inside a Mutex may take another Mutex, but no LongMutex: its holder may be waiting for
// the fork, which waits for that thread. It may not wait for another thread's work in any other
// way, but for a ParallelFor whose bodies take no locks. And nobody waits for a LongMutex with
// Python's global lock in hand: its holder may want that to look at signals.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <shared_mutex>

namespace ninc {

// How many forks lie between the first process of the program and this one.
uint32_t ForkGeneration();

// What Mutex and SharedMutex tell mutex.cc: from Enter to Leave a fork of another thread waits.
void EnterSection();
void LeaveSection();

class Mutex {
 public:
  void lock() {
    EnterSection();
    mutex_.lock();
  }
  void unlock() {
    mutex_.unlock();
    LeaveSection();
  }

 private:
  std::mutex mutex_;
};

class SharedMutex {
 public:
  void lock() {
    EnterSection();
    mutex_.lock();
  }
  void unlock() {
    mutex_.unlock();
    LeaveSection();
  }
  void lock_shared() {
    EnterSection();
    mutex_.lock_shared();
  }
  void unlock_shared() {
    mutex_.unlock_shared();
    LeaveSection();
  }

 private:
  std::shared_mutex mutex_;
};

class LongMutex {
 public:
  void lock();
  void unlock();
  // A signal's handler may run in the middle of what its thread does under the lock, which it would
  // wait for without end.
  bool HeldByThisThread() const;

 private:
  static constexpr uint32_t kFree = 0;
  // Else 1 + the generation of the process in which it was locked: in a child the parent's locks
  // are those of threads that the child does not have.
  std::atomic<uint32_t> state_{kFree};
  std::atomic<const void*> holder_{nullptr};  // a thread, by the address of a variable of its own
};

}  // namespace ninc
