// Classifies a binary PPM picture (what `convert cat.png cat.ppm` writes) with the C++ interface.
//
//     classify MODEL PICTURE.ppm
#include <ninc/model.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

namespace {

struct Picture {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;  // H×W×3
};

bool ReadPpm(const char* path, Picture* picture) {
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  int largest = 0;
  file >> magic >> picture->width >> picture->height >> largest;
  file.get();  // the one white space before the pixels
  constexpr int64_t kMaxSide = 1 << 14;
  if (!file || magic != "P6" || largest != 255) return false;
  if (picture->width < 1 || picture->width > kMaxSide) return false;
  if (picture->height < 1 || picture->height > kMaxSide) return false;
  picture->pixels.resize(static_cast<size_t>(picture->height * picture->width * 3));
  file.read(reinterpret_cast<char*>(picture->pixels.data()),
            static_cast<std::streamsize>(picture->pixels.size()));
  return static_cast<bool>(file);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: classify MODEL PICTURE.ppm\n";
    return 2;
  }
  const auto model = ninc::Load(argv[1]);
  if (!model.ok()) {
    std::cerr << "classify: " << model.status().message() << "\n";
    return 1;
  }
  Picture picture;
  if (!ReadPpm(argv[2], &picture)) {
    std::cerr << "classify: " << argv[2] << " is no binary 8-bit PPM picture\n";
    return 1;
  }
  // To about zero mean and unit variance; a trained model says in metadata()["preprocessing"] what
  // exactly it was trained with.
  std::vector<float> x(picture.pixels.size());
  std::transform(picture.pixels.begin(), picture.pixels.end(), x.begin(),
                 [](uint8_t value) { return (static_cast<float>(value) - 127.5f) / 64.0f; });

  // The pixels are H×W×C. Strides say so, and no copy is needed.
  const ninc::Shape input{1, picture.height, picture.width, 3};
  const ninc::StridedView view{x.data(), {input.size(), 1, picture.width * 3, 3}};  // N, C, H, W
  const auto output = model.value()->OutputShape(input);
  if (!output.ok()) {
    std::cerr << "classify: " << output.status().message() << "\n";
    return 1;
  }
  std::vector<float> y(static_cast<size_t>(output->size()));
  if (const ninc::Status status = model.value()->Run(input, view, y.data()); !status.ok()) {
    std::cerr << "classify: " << status.message() << "\n";
    return 1;
  }
  const auto best = std::max_element(y.begin(), y.end());
  std::cout << "class " << best - y.begin() << " of " << y.size() << ", logit " << *best << "\n";
}
