#include "bindings/status.h"

#include <pybind11/pybind11.h>

#include <cstring>
#include <new>

namespace ninc::python {
namespace {

namespace py = pybind11;

const char* ClassName(StatusCode code) {
  switch (code) {
    case StatusCode::kInvalidShape:
      return "ShapeError";
    case StatusCode::kInvalidArgument:
      return "ArgumentError";
    case StatusCode::kInvalidModel:
      return "ModelError";
    case StatusCode::kDevice:
      return "DeviceError";
    case StatusCode::kIo:
      return "FileError";
    case StatusCode::kOutOfMemory:
      return "OutOfMemoryError";
    case StatusCode::kCancelled:  // in Python a KeyboardInterrupt, which was raised before
    case StatusCode::kOk:
      break;
  }
  return "Error";
}

void Raise(const char* class_name, const char* message) {
  const py::object type = py::module_::import("ninc.errors").attr(class_name);
  // Names of files may be no UTF-8: better a question mark in a message than no message.
  const py::object text = py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(message, static_cast<py::ssize_t>(std::strlen(message)), "replace"));
  if (text) PyErr_SetObject(type.ptr(), text.ptr());
}

}  // namespace

void RegisterErrors() {
  py::module_::import("ninc.errors");  // fails here rather than while an error is under way
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const StatusError& error) {
      Raise(ClassName(error.status().code()), error.what());
    } catch (const DTypeError& error) {
      Raise("DTypeError", error.what());
    } catch (const std::bad_alloc&) {
      Raise("OutOfMemoryError", "no memory left");
    }
  });
}

}  // namespace ninc::python
