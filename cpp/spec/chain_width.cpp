#include "spec/chain_width.h"

#include "spec/checks.h"

namespace gru_native {

void refuse_end(const std::string& name) {
  throw std::invalid_argument(name + " ends a path of a branch; expected a fork before it");
}

void ChainWidth::check_joined() const {
  if (open()) throw std::invalid_argument("blocks ends in a path of a branch; expected a join behind it");
}

void ChainWidth::add(const std::string& name, std::int64_t own, bool ids, bool steps, bool ends) {
  if (any_ && ids) throw std::invalid_argument(name + " reads ids; expected to be the first block, or another kind");
  if (now_.ended && steps)
    throw std::invalid_argument(name + " reads steps; expected another kind: a Pool before it leaves none");
  now_.ended = now_.ended || ends;
  if (own && now_.columns && own != now_.columns)
    throw std::invalid_argument(name + " has input_size " + std::to_string(own) + "; expected " +
                                std::to_string(now_.columns) + ", the output size of the block before it");
  if (!own) return;
  if (!first_) {
    first_ = own;
    branches_.each([&](Rows& rows) { rows.columns = own; });  // nothing before has changed it
  }
  now_.columns = own;
}

void ChainWidth::mark(const std::string& name, BranchSpec::Mark mark) {
  branches_.pass(name, mark, now_, [&](const std::vector<Rows>& ends) {
    Rows joined = ends.front();
    double columns = 0;
    for (const Rows& end : ends) {
      if (end.ended != joined.ended)
        throw std::invalid_argument(name + " joins paths of which some have steps; expected all or none");
      if (mark != BranchSpec::concat && end.columns != joined.columns)
        throw std::invalid_argument(name + " joins paths of " + std::to_string(joined.columns) + " and " +
                                    std::to_string(end.columns) + " columns; expected as many in each");
      columns += static_cast<double>(end.columns);
    }
    if (mark != BranchSpec::concat) return joined;
    if (joined.columns == 0)
      throw std::invalid_argument(name + " joins paths of unknown size; expected a block before it that has one");
    check_fits("the columns", columns, {{"input_size", first_}});
    joined.columns = static_cast<std::int64_t>(columns);
    return joined;
  });
}

std::int64_t ChainWidth::checked_input_size() const {
  check_joined();
  if (!first_) throw std::invalid_argument("blocks is without a block that has a size of its own; expected one");
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
