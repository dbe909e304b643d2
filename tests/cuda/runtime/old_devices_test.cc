// What the emulated driver refuses as an old one or an old card would: modules made by hand, each
// right but for one thing.
#include "cuda/runtime/current.h"
#include "support/cuda_device.h"

namespace ninc::cuda {
namespace {

// A fatbin of one entry, PTX as it is.
std::string FatbinOf(const std::string& body, const std::string& version, int capability) {
  std::string ptx = ".version " + version + "\n.target sm_" + std::to_string(capability) +
                    "\n.address_size 64\n.visible .entry test()\n{\n.reg .b32 %r<4>; .reg .b64 "
                    "%rd<4>; .reg .f32 %f<4>;\n" +
                    body + "\nret;\n}\n";
  ptx.resize((ptx.size() + 8) / 8 * 8);
  const auto add = [](std::string* to, auto value) {
    to->append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  std::string image;
  add(&image, uint32_t{0xBA55ED50});
  add(&image, uint16_t{1});
  add(&image, uint16_t{16});
  add(&image, uint64_t{64 + ptx.size()});
  std::string entry;
  add(&entry, uint16_t{1});
  add(&entry, uint16_t{0x101});
  add(&entry, uint32_t{64});
  add(&entry, uint64_t{ptx.size()});
  entry.resize(28);
  add(&entry, static_cast<uint32_t>(capability));
  entry.resize(64);
  return image + entry + ptx;
}

// What loading it gives, and that this counts as a mistake of the program's or does not.
void ExpectLoads(const Driver& driver, const std::string& image, abi::Result code, bool mistake) {
  abi::Module module = nullptr;
  const int before = Control::Misuses();
  EXPECT_EQ(driver.ModuleLoadData(&module, image.data()), code);
  EXPECT_EQ(Control::Misuses(), before + (mistake ? 1 : 0));
  if (module != nullptr) {
    EXPECT_EQ(driver.ModuleUnload(module), abi::kSuccess);
  }
}

template <typename Body>
void WithDriver(Body body) {
  InOwnProcess([&] {
    Control::Set("leaks_fail", 0);
    Context* context = Value(Context::Get());
    const auto stream = Value(context->NewStream());
    const Current current(*context);
    body(context->driver());
  });
}

TEST(OldDevicesTest, VersionOfPtx) {
  WithDriver([](const Driver& driver) {
    Control::Set("driver", 12000);
    ExpectLoads(driver, FatbinOf("", "7.8", 80), abi::kSuccess, false);
    ExpectLoads(driver, FatbinOf("", "8.0", 80), abi::kSuccess, false);
    ExpectLoads(driver, FatbinOf("", "8.1", 80), abi::kUnsupportedPtxVersion, false);
    Control::Set("driver", 12050);  // the version of 12.6 too
    ExpectLoads(driver, FatbinOf("", "8.5", 80), abi::kSuccess, false);
    ExpectLoads(driver, FatbinOf("", "8.6", 80), abi::kUnsupportedPtxVersion, false);
    Control::Set("driver", 12090);
    ExpectLoads(driver, FatbinOf("", "8.8", 80), abi::kSuccess, false);
    ExpectLoads(driver, FatbinOf("", "9.0", 80), abi::kUnsupportedPtxVersion, false);
    Control::Set("driver", 13000);
    ExpectLoads(driver, FatbinOf("", "9.0", 80), abi::kSuccess, false);
    ExpectLoads(driver, FatbinOf("", "9.1", 80), abi::kUnsupportedPtxVersion, false);
    Control::Set("driver", 12000);
    const char* pragma = ".pragma \"used_bytes_mask 65520\";";
    ExpectLoads(driver, FatbinOf(pragma, "7.8", 80), abi::kInvalidPtx, true);
  });
}

TEST(OldDevicesTest, TargetAboveTheCard) {
  WithDriver([](const Driver& driver) {
    ExpectLoads(driver, FatbinOf("", "7.8", 86), abi::kNoBinaryForGpu, false);
    Control::Set("capability", 75);
    ExpectLoads(driver, FatbinOf("", "7.8", 80), abi::kNoBinaryForGpu, false);
    ExpectLoads(driver, FatbinOf("", "7.8", 75), abi::kSuccess, false);
  });
}

TEST(OldDevicesTest, InstructionsThatTheCardLacks) {
  WithDriver([](const Driver& driver) {
    Control::Set("capability", 75);
    const std::string copy =
        ".shared .align 16 .b8 s[16]; mov.u32 %r0, s; cp.async.ca.shared.global [%r0], [%rd0], 4;";
    const std::string mma =
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f0, %f1, %f2, %f3}, {%r0, %r1, %r2, "
        "%r3}, {%r0, %r1}, {%f0, %f1, %f2, %f3};";
    for (const std::string& body : {copy, mma}) {
      ExpectLoads(driver, FatbinOf(body, "7.8", 75), abi::kInvalidPtx, true);
    }
    Control::Set("capability", 80);
    for (const std::string& body : {copy, mma}) {
      ExpectLoads(driver, FatbinOf(body, "7.8", 80), abi::kSuccess, false);
    }
  });
}

TEST(OldDevicesTest, SharedMemory) {
  WithDriver([](const Driver& driver) {
    const auto declared = [](int bytes) {
      return FatbinOf(".shared .align 16 .b8 s[" + std::to_string(bytes) + "]; mov.u32 %r0, s;",
                      "7.8", 75);
    };
    ExpectLoads(driver, declared(48 << 10), abi::kSuccess, false);
    ExpectLoads(driver, declared((48 << 10) + 4), abi::kInvalidPtx, true);
    abi::Module module = nullptr;
    abi::Function function = nullptr;
    const std::string image = declared(1024);
    ASSERT_EQ(driver.ModuleLoadData(&module, image.data()), abi::kSuccess);
    ASSERT_EQ(driver.ModuleGetFunction(&function, module, "test"), abi::kSuccess);
    for (const auto& [capability, kib] :
         {std::pair(75, 64), {80, 163}, {86, 99}, {90, 227}, {120, 99}}) {
      Control::Set("capability", capability);
      int most = 0;
      EXPECT_EQ(driver.DeviceGetAttribute(&most, abi::kMaxSharedMemoryPerBlockOptin, 0),
                abi::kSuccess);
      EXPECT_EQ(most, kib << 10);
      // Of which the kernel has declared one.
      const auto ask = [&](int bytes) {
        return driver.FuncSetAttribute(function, abi::kMaxDynamicSharedSizeBytes, bytes);
      };
      EXPECT_EQ(ask((kib - 1) << 10), abi::kSuccess);
      EXPECT_EQ(ask(((kib - 1) << 10) + 1), abi::kInvalidValue);
    }
    EXPECT_EQ(driver.ModuleUnload(module), abi::kSuccess);
  });
}

}  // namespace
}  // namespace ninc::cuda
