// How learning rates and averages change over a run; the formulas and the defaults of
// ninc.schedules and ninc.averages in Python, in the same double arithmetic.
//
// A schedule is called before each step as schedule(epoch, epochs): `epoch` is the place in the
// run, 2.5 where half of the third epoch is done, `epochs` the run's length, and what it gives
// multiplies the learning rate. Nothing is checked here: a factor that is no finite number makes
// the step an error, which names the first parameter's rate.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <numbers>
#include <utility>
#include <vector>

namespace ninc::schedule {

using Schedule = std::function<double(double epoch, double epochs)>;

// From 1 at t = 0 down to `end` at t = 1, flat at both.
inline double HalfCosine(double t, double end) {
  return end + (1.0 - end) * 0.5 * (1.0 + std::cos(std::numbers::pi * t));
}

// 1
struct Constant {
  double operator()(double /*epoch*/, double /*epochs*/) const { return 1.0; }
};

// gamma^k, k = how many of the milestones lie at or before this epoch. They are epochs, or, where
// `relative`, shares of the run.
struct Step {
  std::vector<double> milestones;
  double gamma = 0.1;
  bool relative = false;

  double operator()(double epoch, double epochs) const {
    const double unit = relative ? epochs : 1.0;
    // Room for rounding: 200/260 of 260 epochs may be 199.99999999999997.
    const auto passed = std::count_if(milestones.begin(), milestones.end(), [&](double milestone) {
      return epoch >= milestone * unit - 1e-9;
    });
    return std::pow(gamma, static_cast<double>(passed));
  }
};

// floor + (1 - floor) * (1 + cos(pi * t)) / 2,  t = epoch / epochs (Loshchilov, Hutter 2017,
// equation 5, without restarts)
struct Cosine {
  double floor = 0.0;

  double operator()(double epoch, double epochs) const {
    return HalfCosine(std::min(epoch / epochs, 1.0), floor);
  }
};

// Up in a straight line, then down; short runs bear a higher rate this way (Smith 2018).
// With t = epoch / epochs:
//     t <  warmup:   start + (1 - start) * t / warmup
//     t >= warmup:   1 + (end - 1) * s,  s = (t - warmup) / (1 - warmup)
//                    end + (1 - end) * (1 + cos(pi * s)) / 2 where `cosine`
struct OneCycle {
  double warmup = 0.25;  // in [0, 1)
  double start = 0.1, end = 0.0;
  bool cosine = false;

  double operator()(double epoch, double epochs) const {
    const double t = std::min(epoch / epochs, 1.0);
    if (t < warmup) return start + (1.0 - start) * t / warmup;
    const double s = (t - warmup) / (1.0 - warmup);
    return cosine ? HalfCosine(s, end) : 1.0 + (end - 1.0) * s;
  }
};

// Another schedule that begins with a straight line up: its factor times
//     min(1, start + (1 - start) * epoch / epochs_up)
struct Warmup {
  double epochs_up = 1.0;
  Schedule then = Constant();
  double start = 0.1;

  double operator()(double epoch, double epochs) const {
    const double ramp = start + (1.0 - start) * epoch / epochs_up;
    return std::min(1.0, ramp) * (then ? then(epoch, epochs) : 1.0);
  }
};

// gamma^k, k = how often the run has stopped improving: Observe is given a number after each epoch,
// and after `patience` epochs in a row in which it was not better than the best so far by more than
// min_delta, the rate falls. The factor does not fall below `floor`. Keep one object for a run, and
// hand it on as std::ref(plateau): a Schedule, or a Warmup, would otherwise hold a copy that
// observes nothing.
struct Plateau {
  double gamma = 0.1;
  int patience = 3;
  double min_delta = 0.0;
  double floor = 0.0;
  bool larger_is_better = false;  // of accuracies; losses fall

  // What it remembers.
  double factor = 1.0, best = 0.0;
  bool observed = false;
  int stale = 0;  // epochs since the last that was better

  double operator()(double /*epoch*/, double /*epochs*/) const { return factor; }

  void Observe(double value) {
    const bool better = larger_is_better ? value > best + min_delta : value < best - min_delta;
    if (observed ? better : !std::isnan(value)) {
      best = value;
      observed = true;
      stale = 0;
      return;
    }
    if (++stale < patience) return;
    factor = std::max(floor, factor * gamma);
    stale = 0;
  }
};

}  // namespace ninc::schedule

// An average is called before each step as average(progress, count) and gives
// StepSettings::average_rate: `progress` is the share of the run that is done, `count` how many
// steps had a rate above 0 so far. What to do with averages: TakeAverages in ninc/training.h.
namespace ninc::average {

// An exponential moving average (Polyak, Juditsky 1992) of the last 1 / (1 - decay) steps, at first
// of a tenth of the steps there have been: max(1 - decay, 10 / (10 + count)).
struct Ema {
  double decay = 0.999;

  float operator()(double /*progress*/, int64_t count) const {
    return static_cast<float>(std::max(1.0 - decay, 10.0 / (10.0 + static_cast<double>(count))));
  }
};

// The plain mean over the last part of the run (Izmailov et al. 2018): 1 / (1 + count) from `start`
// on, a share of the run.
struct Swa {
  double start = 0.75;

  float operator()(double progress, int64_t count) const {
    return progress < start ? 0.0f : static_cast<float>(1.0 / (1.0 + static_cast<double>(count)));
  }
};

}  // namespace ninc::average
