// Weights of several layers, taken as they were at one moment.
#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "runtime/locks.h"

namespace gru_native {

// What has weights, whatever their type.
class AnyStore {
 public:
  virtual ~AnyStore() = default;
  // What calls compute with, of the type that the store knows.
  virtual std::shared_ptr<const void> newest() const = 0;
};

// While it lives, calls of its thread compute with the weights that these layers had when it was made. Edits that end
// together (weight_edit.h) are all in it or none of them is.
class Moment {
 public:
  explicit Moment(const std::vector<const AnyStore*>& stores, const void* owner = nullptr);
  ~Moment();
  Moment(const Moment&) = delete;
  Moment& operator=(const Moment&) = delete;

  // The weights of this store in the moment of the calling thread, or null: it has none.
  static std::shared_ptr<const void> weights_of(const AnyStore& store);
  // The calling thread's last one that this owner has made and not ended, or null.
  static Moment* last_of(const void* owner);

  // For the time in which weights of several layers become others.
  class Change {
   public:
    Change();
    ~Change();
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;
  };

 private:
  void take(const std::vector<const AnyStore*>& stores);

  Moment* outer_;
  const void* const owner_;
  std::vector<std::pair<const AnyStore*, std::shared_ptr<const void>>> weights_;
};

}  // namespace gru_native
