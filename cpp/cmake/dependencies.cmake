# What the build needs: Eigen (headers, for the kernels only), nlohmann_json (headers, for model files only) and threads.
# An installed gru_native needs threads alone.

# The folder in which the Python environment's package keeps its headers and CMake files, or nothing (find_cmeel.py).
function(gru_native_python_package variable package)
  set(folder "")
  find_package(Python COMPONENTS Interpreter QUIET)
  if(Python_FOUND)
    execute_process(COMMAND ${Python_EXECUTABLE} ${PROJECT_SOURCE_DIR}/cpp/find_cmeel.py ${package}
                    OUTPUT_VARIABLE folder OUTPUT_STRIP_TRAILING_WHITESPACE)
  endif()
  set(${variable} "${folder}" PARENT_SCOPE)
endfunction()

# A system Eigen where there is one, else the package cmeel-eigen of the build environment.
set(gru_native_eigen_dir_was "$CACHE{Eigen3_DIR}")
find_package(Eigen3 3.4 QUIET NO_MODULE)
if(NOT Eigen3_FOUND)
  gru_native_python_package(gru_native_eigen_prefix cmeel-eigen)
  list(APPEND CMAKE_PREFIX_PATH ${gru_native_eigen_prefix})
  find_package(Eigen3 3.4 QUIET NO_MODULE)
endif()
if(NOT Eigen3_FOUND)
  message(FATAL_ERROR "Eigen >= 3.4 not found: install it, or run `python -m pip install cmeel-eigen`")
endif()
message(STATUS "gru_native: Eigen ${Eigen3_VERSION} from ${Eigen3_DIR}")
if(NOT PROJECT_IS_TOP_LEVEL)  # the parent project looks for its own Eigen
  unset(Eigen3_DIR CACHE)
  if(gru_native_eigen_dir_was)
    set(Eigen3_DIR "${gru_native_eigen_dir_was}" CACHE PATH "The directory containing a CMake configuration file for Eigen3.")
  endif()
endif()

# A system nlohmann_json where there is one, else the package nlohmann-json.
find_package(nlohmann_json 3.11 QUIET NO_MODULE)
if(NOT nlohmann_json_FOUND)
  gru_native_python_package(gru_native_json_include nlohmann-json)
  if(NOT gru_native_json_include)
    message(FATAL_ERROR "nlohmann_json >= 3.11 not found: install it (Debian: nlohmann-json3-dev), or run "
                        "`python -m pip install nlohmann-json`")
  endif()
  add_library(gru_native_json INTERFACE)
  target_include_directories(gru_native_json SYSTEM INTERFACE ${gru_native_json_include})
  add_library(nlohmann_json::nlohmann_json ALIAS gru_native_json)
endif()

# A pybind11 that CMake finds by itself, as in a build of the wheel, else that of the Python environment.
if(GRU_NATIVE_PYTHON)
  find_package(Python REQUIRED COMPONENTS Interpreter Development.Module)
  find_package(pybind11 3.0 CONFIG QUIET)
  if(NOT pybind11_FOUND)
    gru_native_python_package(gru_native_pybind11 pybind11)
    find_package(pybind11 3.0 CONFIG REQUIRED HINTS ${gru_native_pybind11})
  endif()
endif()

# Global: whoever links the library needs this target, also a parent project.
find_package(Threads REQUIRED GLOBAL)
