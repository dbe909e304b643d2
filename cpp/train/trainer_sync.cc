// A training step whose batch norms normalise by mean and variance of all shards of the batch.
// Every shard has a run of its own, and all runs go on together: from one joining step of the
// program to the next, shard by shard. There the trainer makes one of what each of them has summed
// up, in double precision and in the order of ShardTree, so that it has the same bits whoever has
// computed which shard.
#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/threads/float_mode.h"
#include "ops/batch_norm2d.h"
#include "train/trainer_impl.h"

namespace ninc {
namespace {

std::vector<size_t> JoinsOf(const Program& program) {
  std::vector<size_t> joins;
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const StepOp& op = program.steps[i].op;
    if (std::holds_alternative<step::JoinMoments>(op) ||
        std::holds_alternative<step::JoinGradientSums>(op)) {
      joins.push_back(i);
    }
  }
  return joins;
}

// Two numbers a channel, summed up over so many rows.
struct RowSums {
  double rows = 0;
  std::vector<double> first, second;
};

// The rows of two stretches, of which `a` comes first, by the formula of Chan, Golub and LeVeque
// (1979). first: means; second: sums of squared deviations.
RowSums JoinedMoments(RowSums a, const RowSums& b) {
  const double rows = a.rows + b.rows;
  for (size_t c = 0; c < a.first.size(); ++c) {
    const double d = b.first[c] - a.first[c];
    a.first[c] += d * (b.rows / rows);
    a.second[c] += b.second[c] + d * d * (a.rows * b.rows / rows);
  }
  a.rows = rows;
  return a;
}

RowSums Added(RowSums a, const RowSums& b) {
  for (size_t c = 0; c < a.first.size(); ++c) {
    a.first[c] += b.first[c];
    a.second[c] += b.second[c];
  }
  a.rows += b.rows;
  return a;
}

// Those of a part of the tree. leaf(shard): of one shard; join: of two stretches.
template <class Leaf, class Join>
RowSums SumsOf(const Stretch& part, const Leaf& leaf, const Join& join) {
  if (part.size() == 1) return leaf(part.begin);
  const int64_t middle = ShardTree::Middle(part);
  return join(SumsOf({part.begin, middle}, leaf, join), SumsOf({middle, part.end}, leaf, join));
}

Run RunOf(const ShardRun& run, Backend& stream) {
  return {run.plan->impl().program, run.plan->impl().layout, stream, run.arguments};
}

// One joining step of all shards.
class Joining {
 public:
  // runs: of the shards `own`, which may be none. program: of any of the batch's shards.
  Joining(const ShardTree& tree, const std::vector<ShardRun>& runs, const Program& program,
          Backend& stream, const GatherShards& gather)
      : tree_(tree), runs_(runs), program_(program), stream_(stream), gather_(gather) {}

  // number: among the joining steps. step: where it stands in `program`.
  Status Run(size_t number, size_t step) {
    number_ = number;
    const StepOp& op = program_.steps[step].op;
    if (const auto* moments = std::get_if<step::JoinMoments>(&op)) return Join(*moments);
    return Join(std::get<step::JoinGradientSums>(op));
  }

 private:
  Status Join(const step::JoinMoments& step) {
    NINC_RETURN_IF_ERROR(Gather(step, &step::JoinMoments::mean, &step::JoinMoments::squares));
    if (runs_.empty()) return {};
    const ScopedFloatMode mode;
    const RowSums all = Total(step.x, JoinedMoments);
    NINC_ASSIGN_OR_RETURN(const Moved moved, MovedBy(all));
    return ForEachRun<step::JoinMoments>([&](const auto& op, const ninc::Run& run) -> Status {
      NINC_RETURN_IF_ERROR(Put(moved.mean, run.Out(op.joined_mean)));
      NINC_RETURN_IF_ERROR(Put(moved.inv_std, run.Out(op.joined_inv_std)));
      NINC_RETURN_IF_ERROR(Put(moved.running_mean, run.Out(op.new_mean)));
      return Put(moved.running_var, run.Out(op.new_var));
    });
  }

  Status Join(const step::JoinGradientSums& step) {
    NINC_RETURN_IF_ERROR(
        Gather(step, &step::JoinGradientSums::dweight, &step::JoinGradientSums::dbias));
    const ScopedFloatMode mode;
    const RowSums all = Total(step.x, Added);
    return ForEachRun<step::JoinGradientSums>([&](const auto& op, const ninc::Run& run) -> Status {
      const double share = static_cast<double>(run.shape(op.x).pixels()) / all.rows;
      std::vector<float> dweight, dbias;
      for (size_t c = 0; c < all.first.size(); ++c) {
        dweight.push_back(static_cast<float>(all.first[c] * share));
        dbias.push_back(static_cast<float>(all.second[c] * share));
      }
      NINC_RETURN_IF_ERROR(Put(dweight, run.Out(op.joined_dweight)));
      return Put(dbias, run.Out(op.joined_dbias));
    });
  }

  // What step::BatchNorm makes of mean and squared deviations; all runs get the same.
  struct Moved {
    std::vector<float> mean, inv_std, running_mean, running_var;
  };
  Result<Moved> MovedBy(const RowSums& all) {
    const size_t channels = all.first.size();
    Moved to{{}, {}, std::vector<float>(channels), std::vector<float>(channels)};
    const ShardRun& first = runs_.front();
    const auto& op =
        std::get<step::JoinMoments>(first.plan->impl().program.steps[first.joins[number_]].op);
    const ninc::Run run = RunOf(first, stream_);
    NINC_RETURN_IF_ERROR(Get(run.In(op.running_mean), &to.running_mean));
    NINC_RETURN_IF_ERROR(Get(run.In(op.running_var), &to.running_var));
    const auto moved = [&](float from, double towards) {
      return static_cast<float>(from + op.momentum * (towards - from));
    };
    for (size_t c = 0; c < channels; ++c) {
      const double squares = all.second[c];
      to.mean.push_back(static_cast<float>(all.first[c]));
      to.inv_std.push_back(static_cast<float>(1.0 / std::sqrt(squares / all.rows + op.eps)));
      to.running_mean[c] = moved(to.running_mean[c], all.first[c]);
      to.running_var[c] = moved(to.running_var[c], squares / std::max(1.0, all.rows - 1));
    }
    return to;
  }

  // Fills gathered_: for each shard of the batch the values of `first` and of `second`.
  template <class Step>
  Status Gather(const Step& step, ValueId Step::*first, ValueId Step::*second) {
    channels_ = static_cast<size_t>(program_.values[step.*first].shape.c);
    std::vector<float> own;
    std::vector<float> values(channels_);
    NINC_RETURN_IF_ERROR(ForEachRun<Step>([&](const Step& op, const ninc::Run& run) -> Status {
      for (const ValueId v : {op.*first, op.*second}) {
        NINC_RETURN_IF_ERROR(Get(run.In(v), &values));
        own.insert(own.end(), values.begin(), values.end());
      }
      return {};
    }));
    if (gather_) {
      NINC_ASSIGN_OR_RETURN(gathered_, gather_(own, 2 * channels_));
    } else {
      gathered_ = std::move(own);
    }
    const size_t expected = static_cast<size_t>(tree_.count()) * 2 * channels_;
    if (gathered_.size() == expected) return {};
    return InvalidShape("sync_batch_norm: the sums of " + std::to_string(tree_.count()) +
                        " shards have " + std::to_string(expected) + " values, gathered were " +
                        std::to_string(gathered_.size()));
  }

  template <class Two>
  RowSums Total(ValueId x, const Two& join) const {
    const Shape& shape = program_.values[x].shape;
    const auto leaf = [&](int64_t shard) {
      const auto first = gathered_.begin() + static_cast<int64_t>(2 * channels_) * shard;
      const auto second = first + static_cast<int64_t>(channels_);
      const int64_t rows = tree_.Rows({shard, shard + 1}).size() * shape.h * shape.w;
      return RowSums{static_cast<double>(rows),
                     {first, second},
                     {second, second + static_cast<int64_t>(channels_)}};
    };
    return SumsOf({0, tree_.count()}, leaf, join);
  }

  // body(step, run) for each run's own step, since shards of two sizes have two programs.
  template <class Step, class Body>
  Status ForEachRun(const Body& body) {
    for (const ShardRun& run : runs_) {
      const Program& program = run.plan->impl().program;
      NINC_RETURN_IF_ERROR(
          body(std::get<Step>(program.steps[run.joins[number_]].op), RunOf(run, stream_)));
    }
    return {};
  }

  Status Get(const float* from, std::vector<float>* to) {
    return stream_.Read(to->data(), from, to->size() * sizeof(float));
  }
  Status Put(const std::vector<float>& from, float* to) {
    return stream_.Write(to, from.data(), from.size() * sizeof(float));
  }

  const ShardTree& tree_;
  const std::vector<ShardRun>& runs_;
  const Program& program_;
  Backend& stream_;
  const GatherShards& gather_;
  size_t number_ = 0, channels_ = 0;
  std::vector<float> gathered_;
};

}  // namespace

// For as long as it lives, the trainer's own place is the seat.
class Trainer::Impl::SeatTaken {
 public:
  SeatTaken(Impl* trainer, ShardSeat* seat) : trainer_(trainer), seat_(seat) {
    trainer_->SwapSeat(seat_);
  }
  ~SeatTaken() { trainer_->SwapSeat(seat_); }
  SeatTaken(const SeatTaken&) = delete;
  SeatTaken& operator=(const SeatTaken&) = delete;

 private:
  Impl* const trainer_;
  ShardSeat* const seat_;
};

void Trainer::Impl::SwapSeat(ShardSeat* seat) {
  const std::lock_guard lock(model_impl->state_mutex);
  seat->arena.ShareStream(arena);
  std::swap(plan, seat->plan);
  std::swap(layout, seat->layout);
  std::swap(arena, seat->arena);
}

Result<std::vector<ShardRun>> Trainer::Impl::BeginSynced(const ShardRuns& runs) {
  ResolveAll();  // what came of earlier steps lies in the trainer's own arena
  {
    const std::lock_guard lock(model_impl->state_mutex);
    seats.resize(static_cast<size_t>(std::max<int64_t>(1, runs.own.size()) - 1));
  }
  std::vector<ShardRun> begun;
  for (int64_t shard = runs.own.begin; shard < runs.own.end; ++shard) {
    std::optional<SeatTaken> taken;
    if (shard > runs.own.begin) taken.emplace(this, &seats[shard - runs.own.begin - 1]);
    NINC_ASSIGN_OR_RETURN(const RunArguments run, BeginShard(runs, shard));
    begun.push_back({plan, run, JoinsOf(plan_impl().program)});
  }
  weights_are_packed = false;
  return begun;
}

Status Trainer::Impl::CheckRows(const ShardTree& tree, const Program& program) const {
  for (const auto& [op, nodes] : program.steps) {
    const auto* moments = std::get_if<step::JoinMoments>(&op);
    if (moments == nullptr) continue;
    Shape input = program.values[moments->x].shape;
    input.n = tree.examples();
    if (input.pixels() > 1) continue;
    return NeedsMoreThanOneValue(input).At(model_impl->graph->Label(nodes.front()));
  }
  return {};
}

Result<std::vector<ShardRun>> Trainer::Impl::RunSynced(const ShardRuns& runs,
                                                       const GatherShards& gather) {
  if (!gather && runs.own.size() < runs.tree.count()) {
    return InvalidArgument(
        "sync_batch_norm: a step of several processes needs to be told how they come to have the "
        "sums of all shards");
  }
  NINC_ASSIGN_OR_RETURN(std::vector<ShardRun> under_way, BeginSynced(runs));
  const Program& program = plan_impl().program;
  NINC_RETURN_IF_ERROR(CheckRows(runs.tree, program));
  const std::vector<size_t> joins = JoinsOf(program);
  Joining joining(runs.tree, under_way, program, stream(), gather);
  for (size_t number = 0; number <= joins.size(); ++number) {
    for (const ShardRun& run : under_way) {
      const std::span<const Kernel> kernels = run.plan->impl().kernels;
      const size_t begin = number == 0 ? 0 : run.joins[number - 1] + 1;
      const size_t end = number == joins.size() ? kernels.size() : run.joins[number];
      NINC_RETURN_IF_ERROR(
          Execute(kernels.subspan(begin, end - begin), ninc::RunOf(run, stream())));
    }
    if (number < joins.size()) NINC_RETURN_IF_ERROR(joining.Run(number, joins[number]));
  }
  return under_way;
}

}  // namespace ninc
