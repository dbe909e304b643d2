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

py::object ErrorClass(const char* name) { return py::module_::import("ninc.errors").attr(name); }

// Names of files may be no UTF-8: better a question mark in a message than no message.
py::object Text(const char* message) {
  PyObject* const text =
      PyUnicode_DecodeUTF8(message, static_cast<py::ssize_t>(std::strlen(message)), "replace");
  if (text == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(text);
}

void Raise(const char* class_name, const char* message) {
  PyErr_SetObject(ErrorClass(class_name).ptr(), Text(message).ptr());
}

// The errno chooses the class, FileNotFoundError among others; the path becomes a text that open()
// takes for the same file, whatever its bytes are.
void RaiseFileError(const Status& status) {
  const int code = status.system_error();
  const std::string& path = status.path();
  py::object number = py::none(), name = py::none();
  if (code != 0) number = py::int_(code);
  if (!path.empty()) name = py::module_::import("os").attr("fsdecode")(py::bytes(path));
  const py::object type = ErrorClass("FileError");
  const py::object error = type(Text(status.message().c_str()), number, name);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
}

}  // namespace

void RegisterErrors() {
  py::module_::import("ninc.errors");  // fails here rather than while an error is under way
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const StatusError& error) {
      if (error.status().code() == StatusCode::kIo) return RaiseFileError(error.status());
      Raise(ClassName(error.status().code()), error.what());
    } catch (const DTypeError& error) {
      Raise("DTypeError", error.what());
    } catch (const std::bad_alloc&) {
      Raise("OutOfMemoryError", "no memory left");
    }
  });
}

}  // namespace ninc::python
