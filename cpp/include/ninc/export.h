/* Marks what the library shows to the outside; everything else is built hidden. C programs include
 * it, too. A static library shows nothing: what is linked with it decides what it shows itself. */
#ifndef NINC_EXPORT_H_
#define NINC_EXPORT_H_

/* NINC_LOCAL: a part of a shown class that is not shown itself. */
#if defined(NINC_STATIC)
#define NINC_API
#define NINC_LOCAL
#elif defined(_WIN32)
#if defined(NINC_BUILDING)
#define NINC_API __declspec(dllexport)
#else
#define NINC_API __declspec(dllimport)
#endif
#define NINC_LOCAL
#else
#define NINC_API __attribute__((visibility("default")))
#define NINC_LOCAL __attribute__((visibility("hidden")))
#endif

#endif /* NINC_EXPORT_H_ */
