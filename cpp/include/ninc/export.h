/* Marks what the library shows to the outside; everything else is built hidden. C programs include
 * it, too. A static library shows nothing: what is linked with it decides what it shows itself. */
#ifndef NINC_EXPORT_H_
#define NINC_EXPORT_H_

#if defined(NINC_STATIC)
#define NINC_API
#elif defined(_WIN32)
#if defined(NINC_BUILDING)
#define NINC_API __declspec(dllexport)
#else
#define NINC_API __declspec(dllimport)
#endif
#else
#define NINC_API __attribute__((visibility("default")))
#endif

#endif /* NINC_EXPORT_H_ */
