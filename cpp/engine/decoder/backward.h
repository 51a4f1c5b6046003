// The time loop of a decoder backward, in the reverse order of forward.h.
#pragma once
#include <deque>

#include "engine/decoder/attention_backward.h"
#include "engine/decoder/decoder.h"
#include "engine/sequence/direction_backward.h"

namespace gru_native {

template <class T>
class DecoderBackward {
 public:
  // All must outlive this.
  DecoderBackward(const ImplOf<AttentionDecoder<T>>& decoder, const ImplOf<AttentionDecoderTape<T>>& tape,
                  const DecoderBackwardCall<T>& call, int members, Arena& arena);

  // By every member.
  void run(int member, Crew& crew);
  // After that, by one.
  void store();

 private:
  const AttentionDecoderSpec& spec() const { return decoder_.spec; }
  bool attends() const { return spec().attention != Attention::none; }
  bool feeds() const { return attends() && spec().input_feeding; }
  void load();
  void read_out(int member, int members);
  void attend(Index t, Share rows, int member);
  void layers(Index t, int member, Crew& crew);
  void of_memories(int member, int members);
  void weights(int member, int members);
  void of_embedding(T* to, int member, int members) const;
  typename DirectionBackward<T>::Io io(std::size_t layer) const;

  const ImplOf<AttentionDecoder<T>>& decoder_;
  const ImplOf<AttentionDecoderTape<T>>& tape_;
  const DecoderBackwardCall<T>& call_;
  const PackedDecoder<T>& w_;
  const DecoderTransposed<T>& transposed_;
  const Timeline& time_;
  const Index* memory_of_;
  Rows<const T> dlogits_{};      // the user's; base is nullptr if there are none
  Matrix<T> gathered_{};         // of them, where the user's rows are not evenly spaced
  Matrix<T> dr_{}, da_{}, dz_{};  // of the readout, of its pre-activations and of [s; context; emb]
  Matrix<T> ds_{};               // of s, with what comes from attention
  std::vector<Matrix<T>> dx_;    // [layer]: of its input
  std::vector<Matrix<T>> dvectors_;  // [memory], without attention: of the vectors
  std::deque<DirectionBackward<T>> directions_;
  std::deque<AttentionBackward<T>> attentions_;
  std::vector<T*> scratch_;
  const T* zeros_;
  double macs_of_step_row_ = 0;
};

}  // namespace gru_native
