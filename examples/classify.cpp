// Classifies a binary PPM picture (what `magick cat.png cat.ppm` writes) with the C++ interface,
// as the model file says: its size, its normalisation and the classes' names are stored there.
//
//     classify MODEL PICTURE.ppm
#include <ninc/model.h>
#include <ninc/preprocess.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

namespace {

// The next number of a picture's head, after spaces and comments; 0 where there is none.
int64_t NextNumber(std::istream& file) {
  while ((file >> std::ws).peek() == '#') {
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  int64_t number = 0;
  return file >> number ? number : 0;
}

bool ReadPpm(std::istream& file, ninc::Shape* shape, std::vector<uint8_t>* pixels) {
  std::string magic;
  file >> magic;
  shape->w = NextNumber(file);
  shape->h = NextNumber(file);
  const int64_t largest = NextNumber(file);
  file.get();  // the one white space before the pixels
  constexpr int64_t kMaxSide = 1 << 14;
  if (!file || magic != "P6" || largest != 255) return false;
  if (shape->w < 1 || shape->w > kMaxSide || shape->h < 1 || shape->h > kMaxSide) return false;
  shape->n = 1;
  shape->c = 3;
  pixels->resize(static_cast<size_t>(shape->size()));  // H×W×3
  file.read(reinterpret_cast<char*>(pixels->data()), static_cast<std::streamsize>(pixels->size()));
  return static_cast<bool>(file);
}

int Fail(const ninc::Status& status) {
  std::cerr << "classify: " << status.message() << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: classify MODEL PICTURE.ppm\n";
    return 2;
  }
  ninc::Shape shape;
  std::vector<uint8_t> pixels;
  std::ifstream file(argv[2], std::ios::binary);
  if (!file) {
    std::cerr << "classify: cannot open " << argv[2] << "\n";
    return 1;
  }
  if (!ReadPpm(file, &shape, &pixels)) {
    std::cerr << "classify: " << argv[2] << " is no binary 8-bit PPM picture\n";
    return 1;
  }
  const auto model = ninc::Load(argv[1]);
  if (!model.ok()) return Fail(model.status());
  const auto classes = model.value()->graph().OutputChannels();
  if (!classes.ok()) return Fail(classes.status());
  const auto names = ninc::ClassNames(*model.value());
  if (!names.ok()) return Fail(names.status());
  const auto best =
      ninc::Classify(*model.value(), shape, pixels.data(), std::min<int64_t>(5, classes.value()));
  if (!best.ok()) return Fail(best.status());
  for (const ninc::TopClass& one : best.value()) {
    const auto index = static_cast<size_t>(one.index);
    const bool has_name = index < names.value().size();
    std::cout << std::fixed << one.probability << "  class " << one.index << "  "
              << (has_name ? names.value()[index] : "(no name stored)") << "\n";
  }
}
