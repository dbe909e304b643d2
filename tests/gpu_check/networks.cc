#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "check.h"

namespace ninc::gpu_check {
namespace {

struct Block {  // an mlpconv, and the pool behind it
  int64_t widths[3];
  int kernel, stride, padding;
  const char* pool;  // "MaxPool2d", "AvgPool2d", or null
};

std::string Bracketed(int count, int value) {
  std::string text;
  for (int i = 0; i < count; ++i) text += (i ? ", " : "") + std::to_string(value);
  return "[" + text + "]";
}

class Builder {
 public:
  explicit Builder(int64_t channels) : channels_(channels) {
    nodes_ = R"({"name": "x", "op": "Input", "channels": )" + std::to_string(channels) + "}";
  }

  void Add(const Block& block) {
    Convolution(block.widths[0], block.kernel, block.stride, block.padding);
    Convolution(block.widths[1], 1, 1, 0);
    Convolution(block.widths[2], 1, 1, 0);
    if (block.pool != nullptr) {
      Layer(block.pool, R"("kernel_size": [3, 3], "stride": [2, 2], "ceil_mode": true)");
      Layer("Dropout", R"("p": 0.5)");
    }
  }

  Graph Finish() {
    Layer("GlobalAvgPool2d", "");
    return Graph::FromJson("{\"nodes\": [" + nodes_ + "]}").value();
  }

 private:
  void Convolution(int64_t width, int kernel, int stride, int padding) {
    Layer("Conv2d", "\"in_channels\": " + std::to_string(channels_) + ", \"out_channels\": " +
                        std::to_string(width) + ", \"kernel_size\": " + Bracketed(2, kernel) +
                        ", \"stride\": " + Bracketed(2, stride) +
                        ", \"padding\": " + Bracketed(4, padding));
    Layer("Relu", "");
    channels_ = width;
  }

  void Layer(const std::string& op, const std::string& fields) {
    std::string name = op + std::to_string(count_++);
    nodes_ += ", {\"name\": \"" + name + "\", \"op\": \"" + op + "\", \"inputs\": [\"" + last_ +
              "\"]" + (fields.empty() ? "" : ", " + fields) + "}";
    last_ = std::move(name);
  }

  int64_t channels_;
  int count_ = 0;
  std::string nodes_, last_ = "x";
};

void Initialise(Model* model) {
  std::mt19937 generator(1);
  std::vector<std::pair<std::string, std::vector<float>>> values;
  for (size_t i = 0; i < model->specs().size(); ++i) {
    const Tensor& parameter = model->parameter(i);
    std::vector<float> data(parameter.data.size());
    if (parameter.dims.size() == 4) {
      const int64_t inputs = parameter.dims[1] * parameter.dims[2] * parameter.dims[3];
      std::normal_distribution<float> normal(0.0f, std::sqrt(2.0f / static_cast<float>(inputs)));
      for (float& value : data) value = normal(generator);
    }
    values.emplace_back(model->specs()[i].name, std::move(data));
  }
  const Status status = model->SetParameters(values);
  if (!status.ok()) std::abort();  // every name is the model's own
}

Net Make(const char* name, const Shape& picture, std::vector<Block> blocks,
         const Options& options) {
  Builder builder(picture.c);
  for (Block& block : blocks) {
    for (int64_t& width : block.widths) {
      if (options.quick) width = std::max<int64_t>(10, width / 10);
    }
    builder.Add(block);
  }
  Net net{name, picture, Model::Create(builder.Finish()).value()};
  Initialise(net.model.get());
  return net;
}

}  // namespace

Net NinCifar(const Options& options) {
  const int64_t size = options.quick ? 12 : 32;
  return Make("NIN-CIFAR", {1, size, size, 3},
              {{{192, 160, 96}, 5, 1, 2, "MaxPool2d"},
               {{192, 192, 192}, 5, 1, 2, "AvgPool2d"},
               {{192, 192, 10}, 3, 1, 1, nullptr}},
              options);
}

Net NinImageNet(const Options& options) {
  const int64_t size = options.quick ? 67 : 224;
  return Make("NIN-ImageNet", {1, size, size, 3},
              {{{96, 96, 96}, 11, 4, 0, "MaxPool2d"},
               {{256, 256, 256}, 5, 1, 2, "MaxPool2d"},
               {{384, 384, 384}, 3, 1, 1, "MaxPool2d"},
               {{1024, 1024, 1000}, 3, 1, 1, nullptr}},
              options);
}

}  // namespace ninc::gpu_check
