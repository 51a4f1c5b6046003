// How a product is shared out: each part of it is one member's, and members have nearly as much to do.
#include "engine/shares.h"

#include <algorithm>
#include <vector>

#include "tests/support/check.h"

using namespace gru_native;

namespace {

void check_product(Index rows, Index panels, int members) {
  std::vector<int> owners(static_cast<std::size_t>(rows * panels));
  Index most = 0;
  for (int member = 0; member < members; ++member) {
    const ProductShare mine = share_of_product(rows, panels, member, members);
    Index count = 0;
    for (Index row = mine.rows.begin; row < mine.rows.end; ++row)
      for (Index panel = mine.panels.begin; panel < mine.panels.end; ++panel, ++count)
        ++owners[static_cast<std::size_t>(row * panels + panel)];
    CHECK(mine.empty() == (count == 0), "%ld x %ld of %d: member %d", rows, panels, members, member);
    const Share& whole = mine.by_rows ? mine.panels : mine.rows;
    CHECK(whole.begin == 0 && whole.end == (mine.by_rows ? panels : rows), "%ld x %ld of %d: both are cut", rows,
          panels, members);
    most = std::max(most, count);
  }
  CHECK(std::all_of(owners.begin(), owners.end(), [](int n) { return n == 1; }), "%ld x %ld of %d: not once", rows,
        panels, members);
  // No more than by rows; of fewer than three it is the weights that are waited for.
  CHECK(most <= std::max<Index>(3, divide_up(rows, members)) * panels, "%ld x %ld of %d: %ld of one", rows, panels,
        members, most);
}

}  // namespace

int main() {
  for (int members : {1, 2, 3, 5, 16})
    for (Index rows = 0; rows < 200; ++rows)
      for (Index panels : {1, 2, 3, 4, 5, 8, 17}) check_product(rows, panels, members);
  return done("shares");
}
