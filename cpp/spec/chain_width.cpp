#include "spec/chain_width.h"

#include "spec/checks.h"

namespace gru_native {

void refuse_end(const std::string& name) {
  throw std::invalid_argument(name + " ends a path of a branch; expected a fork before it");
}

void ChainWidth::check_joined() const {
  if (open()) throw std::invalid_argument("blocks ends in a path of a branch; expected a join behind it");
}

void ChainWidth::refuse_low(const std::string& name, std::int64_t height) {
  throw std::invalid_argument(name + " gets images of height " + std::to_string(height) +
                              ", which are lower than its windows; expected higher ones");
}

void ChainWidth::settle_images(const std::string& name, const ReadsImages& images) {
  if (now_.channels < 0 && (images.channels > 0 || !images.may)) {
    now_.channels = images.may ? images.channels : 0;
    branches_.each([&](Rows& rows) { rows.channels = rows.channels < 0 ? now_.channels : rows.channels; });
  }
  if (images.must && now_.channels < 1)
    throw std::invalid_argument(name + " reads images; expected an Image before it");
  if (!images.may && now_.channels > 0)
    throw std::invalid_argument(name + " reads rows; expected Columns before it: what it gets are images");
  if (now_.channels > 0 && images.channels > 0 && now_.channels != images.channels)
    throw std::invalid_argument(name + " reads " + std::to_string(images.channels) + " channels; expected " +
                                std::to_string(now_.channels) + ", those of the images before it");
}

void ChainWidth::add(const std::string& name, std::int64_t own, bool ids, bool steps, bool ends,
                     const ReadsImages& images) {
  settle_images(name, images);
  if (any_ && ids) throw std::invalid_argument(name + " reads ids; expected to be the first block, or another kind");
  if (now_.ended && steps)
    throw std::invalid_argument(name + " reads steps; expected another kind: a Pool before it leaves none");
  now_.ended = now_.ended || ends;
  if (own && now_.columns && own != now_.columns)
    throw std::invalid_argument(name + " has input_size " + std::to_string(own) + "; expected " +
                                std::to_string(now_.columns) + ", the output size of the block before it");
  if (!own) return;
  if (!first_ && !now_.unknown) {
    first_ = own;
    branches_.each([&](Rows& rows) { rows.columns = rows.unknown ? 0 : own; });  // nothing else has changed it
  }
  now_.columns = own;
  now_.unknown = false;
}

void ChainWidth::mark(const std::string& name, BranchSpec::Mark mark) {
  branches_.pass(name, mark, now_, [&](const std::vector<Rows>& ends) {
    Rows joined = ends.front();
    double columns = 0;
    std::int64_t channels = 0;
    bool unknown = false;
    for (const Rows& end : ends) {
      if (end.ended != joined.ended)
        throw std::invalid_argument(name + " joins paths of which some have steps; expected all or none");
      if ((end.channels > 0) != (joined.channels > 0))
        throw std::invalid_argument(name + " joins paths of which some have images; expected all or none");
      const bool known = !end.unknown && !joined.unknown, wide = mark == BranchSpec::concat;
      if (known && !wide && end.columns != joined.columns)
        throw std::invalid_argument(name + " joins paths of " + std::to_string(joined.columns) + " and " +
                                    std::to_string(end.columns) + " columns; expected as many in each");
      if (!wide && end.channels != joined.channels)
        throw std::invalid_argument(name + " joins images of " + std::to_string(joined.channels) + " and " +
                                    std::to_string(end.channels) + " channels; expected as many in each");
      if (known && end.channels > 0 && end.columns / end.channels != joined.columns / joined.channels)
        throw std::invalid_argument(name + " joins images of heights " +
                                    std::to_string(joined.columns / joined.channels) + " and " +
                                    std::to_string(end.columns / end.channels) + "; expected the same in each");
      columns += static_cast<double>(end.columns);
      channels += end.channels;
      unknown = unknown || end.unknown || (end.channels > 0 && end.columns == 0);
    }
    if (mark != BranchSpec::concat) return joined;
    joined.channels = channels;
    if (unknown) {
      joined.columns = 0, joined.unknown = true;
      return joined;
    }
    if (joined.columns == 0)
      throw std::invalid_argument(name + " joins paths of unknown size; expected a block before it that has one");
    check_fits("the columns", columns, {{"input_size", first_}});
    joined.columns = static_cast<std::int64_t>(columns);
    return joined;
  });
}

std::int64_t ChainWidth::checked_input_size() const {
  check_joined();
  if (!first_)
    throw std::invalid_argument(
        "blocks is without a block that has a size of its own; expected one, such as an Image with features");
  return first_;
}

void ChainSteps::mark(const std::string& name, BranchSpec::Mark mark) {
  branches_.pass(name, mark, steps_, [&](const std::vector<std::int64_t>& ends) {
    for (const std::int64_t steps : ends)
      if (steps != ends.front())
        throw std::invalid_argument(name + " joins paths of " + std::to_string(ends.front()) + " and " +
                                    std::to_string(steps) + " steps; expected as many in each");
    return ends.front();
  });
}

}  // namespace gru_native
