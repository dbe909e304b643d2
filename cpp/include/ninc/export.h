// Marks what the shared library shows to the outside; everything else is built hidden.
#pragma once

#if defined(_WIN32)
#if defined(NINC_BUILDING)
#define NINC_API __declspec(dllexport)
#else
#define NINC_API __declspec(dllimport)
#endif
#else
#define NINC_API __attribute__((visibility("default")))
#endif
