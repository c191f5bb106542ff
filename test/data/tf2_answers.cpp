// C functions around tf2::BufferCore, for record_tf2_answers.py.
#include <algorithm>
#include <chrono>
#include <cstdint>

#include "tf2/buffer_core.h"
#include "tf2/exceptions.h"

extern "C"
{
tf2::BufferCore * create(double cache_s)
{
  return new tf2::BufferCore(tf2::durationFromSec(cache_s));
}

void destroy(tf2::BufferCore * buffer)
{
  delete buffer;
}

// pose: x, y, z, qx, qy, qz, qw.
void insert(
  tf2::BufferCore * buffer, const char * parent, const char * child, std::int64_t stamp_ns,
  const double * pose, bool is_static)
{
  geometry_msgs::msg::TransformStamped message;
  message.header.frame_id = parent;
  message.header.stamp.sec = static_cast<std::int32_t>(stamp_ns / 1000000000);
  message.header.stamp.nanosec = static_cast<std::uint32_t>(stamp_ns % 1000000000);
  message.child_frame_id = child;
  auto & translation = message.transform.translation;
  auto & rotation = message.transform.rotation;
  translation.x = pose[0];
  translation.y = pose[1];
  translation.z = pose[2];
  rotation.x = pose[3];
  rotation.y = pose[4];
  rotation.z = pose[5];
  rotation.w = pose[6];
  buffer->setTransform(message, "record", is_static);
}

// Returns the TF2Error of tf2_msgs: 0 and the pose, or why there is none.
int lookup(
  const tf2::BufferCore * buffer, const char * target, const char * source,
  std::int64_t stamp_ns, double * pose)
{
  try {
    const tf2::TimePoint time{std::chrono::nanoseconds(stamp_ns)};
    const auto found = buffer->lookupTransform(target, source, time).transform;
    const auto & translation = found.translation;
    const auto & rotation = found.rotation;
    const double values[] = {
      translation.x, translation.y, translation.z, rotation.x, rotation.y, rotation.z, rotation.w};
    std::copy(values, values + 7, pose);
    return 0;
  } catch (const tf2::ConnectivityException &) {
    return 2;
  } catch (const tf2::ExtrapolationException &) {
    return 3;
  } catch (const tf2::LookupException &) {
    return 1;
  }
}
}
