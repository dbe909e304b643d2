// How many channels an operation takes and gives, in numbers that need no picture: shapes need a
// height and a width.
#pragma once

#include <cstdint>
#include <string>

namespace ninc {

// How many channels an operation takes of its first input.
struct Taken {
  int64_t channels = 0;  // 0: any multiple of the next number
  int64_t multiple_of = 1;
  const char* what = "channels";  // as messages call them

  bool Fits(int64_t given) const {
    return channels == 0 ? given % multiple_of == 0 : given == channels;
  }
  // "8 input channels"
  std::string Wanted() const {
    const std::string number =
        channels == 0 ? "a multiple of " + std::to_string(multiple_of) : std::to_string(channels);
    return number + " input " + what;
  }
};

// The channels of a node's value: times · C + plus, where C is the number that the network takes.
struct Channels {
  int64_t times = 0, plus = 0;
  // Whether its maps are 1×1 for every input: Flatten then leaves the channels as they are.
  bool is_pixel = false;
  // False where they depend on more than C, as on the input's height and width behind Flatten.
  bool known = true;

  Channels WithPixel(bool pixel) const { return {times, plus, pixel, known}; }
};

}  // namespace ninc
