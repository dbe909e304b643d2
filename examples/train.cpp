// Trains a network in network on arrays and saves it for C, C++ and Python.
//
//     train MODEL EPOCHS BATCH.bin...    # the CIFAR-10 binary version's data_batch_1.bin, ...
//     train MODEL EPOCHS                 # pictures made up here, of four classes
//
// The last tenth of the pictures is held out to measure how often the network is right.
#include <ninc/networks.h>
#include <ninc/training.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace {

struct Data {
  int64_t classes = 0, side = 0;     // pictures are 3×side×side
  std::vector<float> pictures = {};  // N×3×side×side, of about zero mean and unit variance
  std::vector<int64_t> labels = {};  // N

  ninc::LabelledPictures Part(int64_t begin, int64_t end) const {
    const ninc::Shape shape{end - begin, side, side, 3};
    return {shape, pictures.data() + begin * 3 * side * side, labels.data() + begin};
  }
};

float Normalised(double value) { return static_cast<float>((value - 127.5) / 64.0); }

// Appends a file of records: a byte for the class, then 3×32×32 bytes.
bool ReadCifar10(const char* path, Data* data) {
  constexpr size_t kRecord = 1 + 3 * 32 * 32;
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  if (bytes.empty() || bytes.size() % kRecord != 0) return false;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    if (i % kRecord == 0) {
      data->labels.push_back(byte);
    } else {
      data->pictures.push_back(Normalised(byte));
    }
  }
  return true;
}

// Grey noise with a bright quarter, whose place is the class.
Data MadeUp() {
  Data data{.classes = 4, .side = 12};
  std::mt19937 random(1);
  std::uniform_real_distribution<double> noise(0.0, 180.0);
  for (int64_t n = 0; n < 160; ++n) {
    const int64_t label = n % data.classes;
    data.labels.push_back(label);
    for (int64_t i = 0; i < 3 * data.side * data.side; ++i) {
      const int64_t row = i / data.side % data.side, column = i % data.side;
      const bool bright = 2 * row / data.side * 2 + 2 * column / data.side == label;
      data.pictures.push_back(Normalised(noise(random) + (bright ? 75.0 : 0.0)));
    }
  }
  return data;
}

ninc::Status Train(const Data& data, int epochs, const std::string& path) {
  const auto count = static_cast<int64_t>(data.labels.size()), held_out = count / 10;
  const ninc::LabelledPictures train = data.Part(0, count - held_out);
  const ninc::LabelledPictures test = data.Part(count - held_out, count);
  const int64_t batch_size = count < 10'000 ? 16 : 128;

  NINC_ASSIGN_OR_RETURN(const auto model, ninc::CreateNin("nin-cifar10", {.classes = data.classes,
                                                                          .batch_norm = true}));
  NINC_ASSIGN_OR_RETURN(const auto trainer, ninc::Trainer::Create(model, 0.1f));
  const ninc::Sgd sgd{.lr = 0.05, .momentum = 0.9, .nesterov = true, .weight_decay = 5e-4};
  const ninc::schedule::Cosine schedule;
  const ninc::average::Ema average{.decay = 0.99};
  int64_t steps = 0, averaged = 0;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    NINC_ASSIGN_OR_RETURN(auto batches, ninc::ShuffledBatches::Create(train, batch_size, 0, epoch));
    double loss = 0.0, factor = 1.0;
    while (const ninc::Batch* batch = batches.Next()) {
      factor = schedule(epoch + batches.progress(), epochs);
      NINC_ASSIGN_OR_RETURN(auto settings, ninc::MakeStepSettings(*model, sgd, factor));
      settings.average_rate = average((epoch + batches.progress()) / epochs, averaged);
      averaged += settings.average_rate > 0;
      settings.step = static_cast<uint64_t>(steps++);
      NINC_ASSIGN_OR_RETURN(const auto result,
                            trainer->Step(batch->shape, batch->x, batch->labels, settings));
      loss += result.loss / static_cast<double>(batches.count());
    }
    std::printf("epoch %d: rate factor %.17g, loss %.4f\n", epoch + 1, factor, loss);
  }
  NINC_ASSIGN_OR_RETURN(auto batches, ninc::ShuffledBatches::Create(train, batch_size, 0, epochs));
  NINC_RETURN_IF_ERROR(ninc::TakeAverages(*model, *trainer, std::move(batches)));
  NINC_ASSIGN_OR_RETURN(const auto result, ninc::Evaluate(*model, test));
  std::printf("held out: loss %.4f, accuracy %.4f\n", result.loss, result.accuracy());
  return ninc::Save(*model, path);
}

}  // namespace

int main(int argc, char** argv) {
  const int epochs = argc < 3 ? 0 : std::atoi(argv[2]);
  if (epochs < 1) {
    std::fputs("usage: train MODEL EPOCHS [BATCH.bin...]\n", stderr);
    return 2;
  }
  Data data{.classes = 10, .side = 32};
  for (int i = 3; i < argc; ++i) {
    if (ReadCifar10(argv[i], &data)) continue;
    std::fprintf(stderr, "train: %s is no file of CIFAR-10's binary version\n", argv[i]);
    return 1;
  }
  const ninc::Status status = Train(argc == 3 ? MadeUp() : data, epochs, argv[1]);
  if (status.ok()) return 0;
  std::fprintf(stderr, "train: %s\n", status.message().c_str());
  return 1;
}
